"""`make plan`: what the pipeline costs."""

import sys
from typing import Any

import pytest
from conftest import Project

from commands import plan
from podium.core.errors import UserError
from podium.planning import stopwatch


def run(*options: str) -> None:
    sys.argv = ["plan.py", *options]
    plan.main()


def add_probe(params: dict[str, Any]) -> None:
    network = {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
    params["embeddings"] = {"e": network}
    params["probes"] = {"p": {"features": ["e"]}}
    params["ensemble"]["members"] = ["a", "p"]
    params["folds"]["run"] = [0]


@pytest.mark.slow
def test_plan_lists_what_each_part_takes(
    prepared: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared.edit(add_probe)
    prepared.enter(monkeypatch)
    monkeypatch.setattr(stopwatch, "SECONDS", 0.2)
    monkeypatch.setattr(stopwatch, "_imports", lambda _: 2.0)
    before = {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")}
    run("--hours", "0.0001")
    lines = capsys.readouterr().out.splitlines()
    names = ["a", "e (embedding)", "p (probe)", "other stages", "total"]
    table = lines[lines.index("") + 2 :][: len(names)]
    assert [line[: len(name)] for line, name in zip(table, names, strict=True)] == names
    assert " GiB" in table[0] and " GiB" in table[1]
    assert " does not fit into 0 s: it takes " in lines[-1]
    files = {path for path in prepared.folder.rglob("*") if path.suffix != ".pyc"}
    assert files <= {*before, *(path for path in files if path.name == "__pycache__")}


def test_plan_requires_prepared_images(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.enter(monkeypatch)
    with pytest.raises(UserError, match="Run `dvc repro folds`, then `make plan`"):
        run()


@pytest.mark.parametrize("hours", ["abc", "0", "-2", "inf"])
def test_hours_must_be_a_positive_number(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(f"--hours={hours}")
    assert f"--hours: must be a positive number, not '{hours}'" in capsys.readouterr().err
