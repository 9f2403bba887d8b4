"""Wrong input as a user gives it: one clear message, a non-zero exit, nothing half-written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import competitions
import pytest
from conftest import Project

Files = dict[str, bytes]

pytestmark = pytest.mark.slow  # runs stages, or trains again and again


def fails(project: Project, *command: str, **environment: str) -> str:
    """The one error that a stage ends with."""
    before = {path for path in project.folder.rglob("*") if "__pycache__" not in path.parts}
    done = project.stage(*command, **environment)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert done.stdout.count("error:") == 1
    after = {path for path in project.folder.rglob("*") if "__pycache__" not in path.parts}
    left = {path for path in after - before if path.is_file()}
    assert not left, left
    return done.stdout


def replace(name: str, old: bytes, new: bytes, times: int = 1) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, times)

    return change


def test_an_unknown_key_of_params(project: Project) -> None:
    project.edit(lambda p: p["folds"].update(cuont=3))
    assert "folds.cuont: unknown key: did you mean count?" in fails(project, "check")


def test_a_mistake_in_a_late_section_stops_the_stage_check(project: Project) -> None:
    project.edit(lambda p: p["ensemble"].update(method="man"))
    assert "ensemble.method: " in fails(project, "check")


def test_a_source_that_is_not_there(project: Project) -> None:
    project.edit(lambda p: p["competition"].update(source="nowhere.zip"))
    assert "nowhere.zip is neither" in fails(project, "fetch")


def test_no_kaggle_credentials(project: Project) -> None:
    project.edit(lambda p: p["competition"].update(source="kaggle"))
    home = str(project.folder)
    text = fails(project, "fetch", HOME=home, KAGGLE_CONFIG_DIR=home)
    assert "no Kaggle credentials: create a token at https://www.kaggle.com/settings" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda files: [files.pop(f"train/{n:04d}.png") for n in range(7)],
            "7 of 36 training images are missing from train/: 0000, 0001, 0002, 0003, 0004 and 2 "
            "more. Set prepare.on_bad_image: skip",
        ),
        (
            lambda files: files.update({"train/0003.png": files["train/0003.png"][:200]}),
            "1 of 36 training images are unusable: 0003 (train/0003.png: ",
        ),
        (
            lambda files: files.update({"test/0036.png": b"not an image"}),
            "1 of 9 test images are unusable: 0036 (test/0036.png: not an image). Set "
            "prepare.on_bad_image: blank",
        ),
        (
            replace("train.csv", b"0001,", b"0000,"),
            "different labels: 0000 (row 2: circle, row 3: square).",
        ),
        (
            replace("train.csv", b"0002,stripes", b"0002,"),
            "train.csv: 1 rows have no label: 0002 (row 4)",
        ),
        (
            replace("sample_submission.csv", b"0036", b"9999"),
            "1 only in the first (9999), 1 only in the second (0036)",
        ),
        (
            replace("train.csv", b"id,label", b"id,class"),
            "train.csv has no column label; it has id, class",
        ),
        (
            lambda files: files.pop("train.csv"),
            "CSV files: test.csv, sample_submission.csv",
        ),
    ],
)
def test_a_competition_with_a_fault(
    project: Project, change: Callable[[Files], Any], message: str
) -> None:
    files = competitions.competition()
    change(files)
    project.write_archive(files)
    assert project.stage("fetch").returncode == 0
    assert message in fails(project, "prepare")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is ready to train."""
    project = Project(tmp_path_factory.mktemp("prepared"))
    for stage in ("fetch", "prepare", "folds"):
        assert project.stage(stage).returncode == 0
    return project


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"architecture": "test_resent"},
            "timm has no test_resent: did you mean test_resnet?",
        ),
        (
            {"augment": [{"HorizontalFlop": {}}]},
            "albumentations has no transform HorizontalFlop: did you mean HorizontalFlip?",
        ),
    ],
)
def test_a_name_that_a_library_does_not_know(
    prepared: Project, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    project = prepared.copy(tmp_path / "project")
    project.edit(lambda p: p["models"]["a"].update(wrong))
    assert message in fails(project, "train", "--model", "a", "--fold", "0")
