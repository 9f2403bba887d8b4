"""Wrong input, as a user gives it: one message, a non-zero exit status, no file left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import competitions
import pytest
from conftest import Project

Files = dict[str, bytes]

pytestmark = pytest.mark.slow  # runs stages


def fails(project: Project, *command: str, **environment: str) -> str:
    """Run a stage that must fail: its output."""
    before = project_files(project)
    done = project.stage(*command, **environment)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert done.stdout.count("error:") == 1
    assert project_files(project) == before
    return done.stdout


def project_files(project: Project) -> set[Path]:
    paths = project.folder.rglob("*")
    return {path for path in paths if path.is_file() and "__pycache__" not in path.parts}


def replace(name: str, old: bytes, new: bytes, times: int = 1) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, times)

    return change


def test_mistakes_anywhere_in_params_stop_the_stage_check(project: Project) -> None:
    project.edit(lambda p: (p["folds"].update(cuont=3), p["ensemble"].update(method="man")))
    text = fails(project, "check")
    assert "  folds.cuont: " in text and "  ensemble.method: " in text


def test_a_missing_user_defined_metric_stops_the_stage_check(project: Project) -> None:
    project.edit(lambda p: p.update(metric="custom/none.py:score"))
    assert "custom/none.py:score" in fails(project, "check")


def test_a_blending_method_that_does_not_suit_a_user_defined_metric(project: Project) -> None:
    code = "def hits(targets, labels): return (targets == labels).mean()\nhits.inputs = 'labels'\n"
    (project.folder / "custom/mine.py").write_text(code)
    change = {"metric": "custom/mine.py:hits"}
    project.edit(lambda p: (p.update(change), p["ensemble"].update(method="rank")))
    text = fails(project, "check")
    assert "ensemble.method: rank " in text and "custom/mine.py:hits" in text
    (project.folder / "custom/mine.py").write_text(code.replace("'labels'", "'probabilities'"))
    assert project.stage("check").returncode == 0


def test_a_missing_source(project: Project) -> None:
    project.edit(lambda p: p["competition"].update(source="nowhere.zip"))
    assert "nowhere.zip" in fails(project, "fetch")


def test_missing_kaggle_credentials(project: Project) -> None:
    project.edit(lambda p: p["competition"].update(source="kaggle"))
    home = str(project.folder)
    text = fails(project, "fetch", HOME=home, KAGGLE_CONFIG_DIR=home)
    assert "https://www.kaggle.com/settings" in text


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (
            lambda files: [files.pop(f"train/{n:04d}.png") for n in range(7)],
            ("7 of 36", "0000, 0001, 0002, 0003, 0004 and 2 more", "on_bad_image: skip"),
        ),
        (
            lambda files: files.update({"train/0003.png": files["train/0003.png"][:200]}),
            ("1 of 36", "0003 (train/0003.png: "),
        ),
        (
            lambda files: files.update({"test/0036.png": b"not an image"}),
            ("1 of 9", "0036 (test/0036.png: ", "on_bad_image: blank"),
        ),
        (
            replace("train.csv", b"0001,", b"0000,"),
            ("train.csv", "0000 (row 2: circle, row 3: square)"),
        ),
        (replace("train.csv", b"0002,stripes", b"0002,"), ("train.csv", "0002 (row 4)")),
        (
            replace("sample_submission.csv", b"0036", b"9999"),
            ("sample_submission.csv", "(9999)", "(0036)"),
        ),
        (replace("train.csv", b"id,label", b"id,class"), ("train.csv", "label", "id, class")),
        (
            lambda files: files.pop("train.csv"),
            ("train.csv", "test.csv, sample_submission.csv"),
        ),
    ],
)
def test_a_fault_in_the_competition_is_located(
    project: Project, change: Callable[[Files], Any], fragments: tuple[str, ...]
) -> None:
    files = competitions.competition()
    change(files)
    project.write_archive(files)
    assert project.stage("fetch").returncode == 0
    text = fails(project, "prepare")
    assert all(fragment in text for fragment in fragments), text


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is ready to train."""
    project = Project(tmp_path_factory.mktemp("prepared"))
    for stage in ("check", "fetch", "prepare", "folds"):
        assert project.stage(stage).returncode == 0
    return project


@pytest.mark.parametrize(
    ("settings", "fragment"),
    [
        ({"architecture": "test_resent"}, "did you mean test_resnet?"),
        ({"augment": [{"HorizontalFlop": {}}]}, "did you mean HorizontalFlip?"),
    ],
)
def test_a_name_that_a_library_does_not_know(
    prepared: Project, tmp_path: Path, settings: dict[str, Any], fragment: str
) -> None:
    project = prepared.copy(tmp_path / "project")
    project.edit(lambda p: p["models"]["a"].update(settings))
    assert fragment in fails(project, "train", "--model", "a", "--fold", "0")
