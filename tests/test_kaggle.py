"""Fetching from Kaggle: the real client against a server on loopback."""

from pathlib import Path

import pytest
from conftest import Project
from kaggle_server import Kaggle

pytestmark = pytest.mark.slow  # runs stages, or trains again and again


def test_the_archive_arrives_as_it_is_and_is_not_fetched_twice(
    project: Project, kaggle: Kaggle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = kaggle.environment(tmp_path_factory.mktemp("home"))
    done = project.stage("fetch", **environment)
    assert done.returncode == 0, done.stdout
    assert project.read("data/raw/shapes.zip") == kaggle.archives["shapes"]
    assert {path.name for path in (project.folder / "data/raw").iterdir()} == {
        "shapes.zip",
        "source.json",
    }
    asked = len(kaggle.requests)
    assert asked > 0
    assert project.stage("fetch", **environment).returncode == 0
    assert len(kaggle.requests) == asked


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "the token is not valid"),
        (403, "accept the rules first: https://www.kaggle.com/competitions/shapes/rules"),
        (404, "competition.slug is the name in the competition's URL"),
    ],
)
def test_a_refusal_says_what_to_do(
    project: Project, kaggle: Kaggle, tmp_path: Path, status: int, advice: str
) -> None:
    kaggle.status = status
    done = project.stage("fetch", **kaggle.environment(tmp_path / "home"))
    assert done.returncode == 1
    assert advice in done.stdout and "Traceback" not in done.stdout
    assert "0123456789abcdef" not in done.stdout
    assert not list((project.folder / "data/raw").glob("*"))


def test_a_damaged_download_is_not_kept(project: Project, kaggle: Kaggle, tmp_path: Path) -> None:
    data = bytearray(kaggle.archives["shapes"])
    data[len(data) // 2] ^= 255
    kaggle.archives["shapes"] = bytes(data)
    done = project.stage("fetch", **kaggle.environment(tmp_path / "home"))
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert not (project.folder / "data/raw/shapes.zip").exists()
