"""A submission goes to Kaggle or into an archive only if `dvc repro` would change nothing."""

from pathlib import Path

import pytest
from conftest import Project

from podium.core.errors import UserError
from podium.kaggle import up_to_date
from podium.params import schema

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_the_error_names_the_stages_of_edited_and_missing_files(
    finished_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = finished_project.copy(tmp_path / "project")
    project.enter(monkeypatch)
    up_to_date.check(schema.load())
    for name, stage in {
        "models/a/fold1/weights.safetensors": "train@a-1",
        "submissions/shapes.csv": "submission",
        "data/raw/shapes.zip": "fetch",
        "custom/helpers.py": "check",
    }.items():
        before = project.read(name)
        (project.folder / name).write_bytes(before + b" ")
        with pytest.raises(UserError, match=f"[: ]{stage}[,)]"):
            up_to_date.check(schema.load())
        (project.folder / name).write_bytes(before)
    (project.folder / "metrics/b/fold0.json").unlink()
    with pytest.raises(UserError, match="train@b-0"):
        up_to_date.check(schema.load())


def test_models_and_folds_outside_the_ensemble_may_change(
    finished_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = finished_project.copy(tmp_path / "project")
    project.enter(monkeypatch)
    project.edit(lambda params: params["models"].update(c=params["models"]["a"]))
    up_to_date.check(schema.load())
