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


def test_a_project_trains_and_predicts_there_with_the_bytes_of_a_local_run(
    kaggle: Kaggle, project: Project, here: dict[str, str], tmp_path: Path
) -> None:
    project.edit(lambda p: p["folds"].update(all=["a"]))
    project.run("git", "init", "--quiet")
    project.repro("fetch", **here)
    local = project.copy(tmp_path.with_name(f"{tmp_path.name}-local"))
    done = project.stage("kaggle_gpu", "kaggle", **here)
    assert done.returncode == 0, done.stdout
    assert "all models are trained" in done.stdout and "a-0 | epoch   2" in done.stdout
    ran = project.repro(**here)
    assert not {name for name in ran if name.startswith(("train", "predict"))}
    local.repro(**here)
    for path in RESULTS:
        assert project.read(path) == local.read(path), path
    (session,) = kaggle.service.sessions.values()
    assert "installing 1 of 1 packages" in session.log

    # Predictions only: with the weights that are here.
    project.edit(lambda p: p["predict"].update(views=["identity"]))
    local.edit(lambda p: p["predict"].update(views=["identity"]))
    done = project.stage("kaggle_gpu", "--predict", "kaggle", **here)
    assert done.returncode == 0, done.stdout
    session = [*kaggle.service.sessions.values()][-1]
    assert "src/predict.py" in session.log and "src/train.py" not in session.log
    ran = project.repro(**here)
    assert not {name for name in ran if name.startswith(("train", "predict"))}
    local.repro(**here)
    assert all(project.read(path) == local.read(path) for path in RESULTS)
    assert kaggle_server.KEY not in done.stdout
