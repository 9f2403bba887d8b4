"""A user-defined metric in custom/: an edit reruns what uses it, by the real DVC."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from podium.core.errors import UserError
from podium.kaggle import up_to_date
from podium.models import weights
from podium.params import schema

pytestmark = pytest.mark.slow

USES_METRIC = {"train@a-0", "ensemble", "submission", "report", "page"}


def status(project: Project) -> set[str]:
    """The stages that `dvc status` lists as changed."""
    return set(json.loads(project.run("dvc", "status", "--json").stdout))


def append(project: Project, name: str, text: str = "# a comment\n") -> None:
    path = project.folder / name
    path.write_text((path.read_text() if path.exists() else "") + text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One model and fold, with a metric that imports a file next to it."""
    project = Project(tmp_path_factory.mktemp("custom") / "project")
    append(project, "custom/parts.py", "def misses(targets, labels): return targets != labels\n")
    append(
        project,
        "custom/mine.py",
        "from custom.parts import misses\n"
        "def error(targets, labels): return misses(targets, labels).mean()\n"
        "error.inputs, error.greater_is_better = 'labels', False\n",
    )

    def change(params: dict[str, Any]) -> None:
        params["metric"] = "custom/mine.py:error"
        params["folds"]["run"] = [0]
        params["models"]["a"]["phases"][0]["epochs"] = 1

    project.edit(change)
    assert project.repro() >= USES_METRIC
    return project


@pytest.mark.long
def test_an_edit_of_the_metric_or_its_imports_reruns_what_uses_it(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = finished.copy(tmp_path / "project")
    code = b"".join(project.read(f"custom/{name}.py") for name in ("mine", "parts"))
    sha256 = hashlib.sha256(code).hexdigest()
    assert json.loads(project.read("data/metric.json"))["sha256"] == sha256
    monkeypatch.chdir(project.folder)
    _, provenance, _ = weights.load(Path("models/a/fold0/weights.safetensors"))
    assert provenance.metric_sha256 == sha256
    up_to_date.check(schema.load())

    append(project, "custom/unused.py")
    assert status(project) == {"check"}
    assert project.repro() == {"check"}
    append(project, "custom/parts.py")
    assert status(project) == {"check"}
    with pytest.raises(UserError, match="check"):
        up_to_date.check(schema.load())
    project.repro("check")
    assert status(project) == USES_METRIC


def test_an_edit_below_custom_reruns_only_check_if_the_metric_is_built_in(
    finished: Project, tmp_path: Path
) -> None:
    project = finished.copy(tmp_path / "project")
    project.edit(lambda params: params.update(metric="accuracy"))
    project.repro("check")
    project.run("dvc", "commit", "--force", "--quiet")  # as if the metric had always been that
    assert status(project) == set()
    append(project, "custom/mine.py")
    assert status(project) == {"check"}
    assert project.repro() == {"check"}


def test_a_mistake_in_the_metric_stops_the_first_stage(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    append(project, "custom/mine.py", "error.inputs = 'label'\n")
    done = project.run("dvc", "repro", check=False)
    assert done.returncode != 0
    assert "custom/mine.py:error.inputs" in done.stdout and "Traceback" not in done.stdout
    assert "Running stage 'train" not in done.stdout
