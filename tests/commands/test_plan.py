"""`make plan`: what the pipeline costs."""

import sys
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from conftest import Project

from commands import init, plan
from podium.core.errors import UserError
from podium.init import measure
from podium.init.measured import Kind, Measured, Row
from podium.params import schema
from podium.planning import stopwatch


def run(*options: str) -> None:
    sys.argv = ["plan.py", *options]
    plan.main()


def add_probe(params: dict[str, Any]) -> None:
    network = {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
    params["embeddings"] = {"e": network}
    params["probes"] = {"p": {"features": ["e"]}, "q": {"features": ["e", "metadata"]}}
    params["prepare"]["features"] = "auto"
    params["ensemble"]["members"] = ["a", "p", "q"]
    params["folds"].update(run=[0], all=["a"])


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
    names = ["a", "a (all folds)", "e (embedding)", "p (probe)", "q (probe)", "other stages"]
    names.append("total")
    table = lines[lines.index("") + 2 :][: len(names)]
    assert [line[: len(name)] for line, name in zip(table, names, strict=True)] == names
    assert all(" GiB" in line for line in table[:3])
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


def init_quickly(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make init` writes with --quick, for wide images and a small network."""
    weights = project.folder / "test_resnet.safetensors"
    torch.manual_seed(0)
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), weights)
    project.run("git", "init", "--quiet")
    commit(project)
    project.enter(monkeypatch)
    sys.argv = ["init.py", "shapes.zip", "--yes", "--quick", "--pretrained", weights.name]
    init.main()


def commit(project: Project) -> None:
    project.run("git", "add", "params.yaml")
    project.run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "params")


def test_write_does_what_a_quick_init_skipped(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init_quickly(project, monkeypatch)
    with pytest.raises(UserError, match="uncommitted edits"):
        run("--write")
    commit(project)
    best = (Kind("pad", 64), Kind("squash", 96))
    measured = Measured([Row(best, 0.5, 0.1)], 36, "pad", 64, best)
    monkeypatch.setattr(measure, "compare", lambda *_: measured)
    before = schema.load()
    (name,) = before.models
    assert before.models[name].resize_mode == "crop"
    run("--write")
    after = schema.load()
    assert after.models[name].resize_mode == "pad"
    assert (before.models[name].image_size, after.models[name].image_size) == (32, 64)
    assert after.models[name].augment == [
        {"HorizontalFlip": {}},
        {"RandomResizedCrop": {"scale": [0.7, 1.0]}},
    ]
    assert after.probes["probe"].features == ["pad-64", "squash-96"] == [*after.embeddings]
    assert after.embeddings["squash-96"].pretrained == before.models[name].pretrained
    assert "Wrote params.yaml" in capsys.readouterr().out
    changed = {"models", "embeddings", "probes", "prepare"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert "# crop | squash | pad" in project.read("params.yaml").decode()  # comments stay


def test_write_keeps_its_hands_off_what_init_did_not_write(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_quickly(project, monkeypatch)
    project.edit(lambda params: params["probes"].update(mine=params["probes"]["probe"]))
    commit(project)
    before = project.read("params.yaml")
    with pytest.raises(UserError, match="the only probe, `probe`"):
        run("--write")
    assert project.read("params.yaml") == before
