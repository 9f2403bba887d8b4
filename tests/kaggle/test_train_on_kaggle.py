"""`make train ON=kaggle` with real trainings: the real client, notebooks in clean processes."""

from collections.abc import Iterator
from pathlib import Path

import kaggle_notebooks
import kaggle_server
import pytest
from conftest import Project
from kaggle_notebooks import Notebooks
from kaggle_server import Kaggle
from test_wheels import wheel

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.skipif(not kaggle_notebooks.available(), reason="no namespaces (unshare) here"),
]
RESULTS = ("models/a/fold0/weights.safetensors", "models/a/all/weights.safetensors",
           "data/predictions/a/fold1/oof.parquet", "data/predictions/a/all/test.parquet",
           "submissions/shapes.csv")  # fmt: skip


@pytest.fixture
def here(kaggle: Kaggle, project: Project, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of the driver. Kaggle runs notebooks."""
    folder = tmp_path / "outside"
    for name in ("home", "index"):
        (folder / name).mkdir(parents=True)
    (project.folder / "requirements.txt").write_text(wheel(folder / "index", "podium-probe"))
    with (project.folder / ".gitignore").open("a") as file:
        file.write("\n/outside/\n")
    kaggle.service.notebooks = Notebooks(folder / "kaggle")
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "index")}
    yield {**kaggle.environment(folder / "home"), **pip}
    kaggle.service.notebooks.stop()


def start(project: Project, here: dict[str, str], *options: str) -> None:
    """`make train ON=kaggle`; afterwards `dvc repro` trains and predicts nothing."""
    done = project.stage("kaggle_gpu", *options, "kaggle", **here)
    assert done.returncode == 0, done.stdout
    finished = "all models have predicted" if options else "all models are trained"
    assert finished in done.stdout and kaggle_server.KEY not in done.stdout
    ran = project.repro("submission", **here)
    assert not {name for name in ran if name.startswith(("train", "predict"))}


def test_a_project_trains_there_with_the_bytes_of_a_local_run(
    kaggle: Kaggle, project: Project, here: dict[str, str], tmp_path: Path
) -> None:
    project.edit(lambda p: p["folds"].update(all=["a"]))
    project.repro("folds", **here)
    local = project.copy(tmp_path.with_name(f"{tmp_path.name}-local"))
    start(project, here)
    local.repro("submission", **here)
    for path in RESULTS:
        assert project.read(path) == local.read(path), path
    (session,) = kaggle.service.sessions.values()
    assert "installing 1 of 1 packages" in session.log and "epoch   2" in session.log


def test_a_project_predicts_there_with_the_bytes_of_a_local_run(
    kaggle: Kaggle, project: Project, here: dict[str, str], tmp_path: Path
) -> None:
    project.edit(lambda p: p["folds"].update(run=[0]))
    project.repro("predict", **here)
    project.edit(lambda p: p["predict"].update(views=["identity"]))
    local = project.copy(tmp_path.with_name(f"{tmp_path.name}-local"))
    start(project, here, "--predict")
    local.repro("submission", **here)
    for path in ("data/predictions/a/fold0/oof.parquet", "submissions/shapes.csv"):
        assert project.read(path) == local.read(path), path
    (session,) = kaggle.service.sessions.values()
    assert "src/predict.py" in session.log and "src/train.py" not in session.log
