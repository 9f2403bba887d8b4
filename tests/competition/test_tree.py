import os
import sys
from pathlib import Path

import pytest

from podium.competition.folder import Folder
from podium.competition.tree import MAX_LINKED_FOLDERS, list_files
from podium.core.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train/cat/1.jpg", "train/dog/2.jpg", "elsewhere/bird/3.jpg", "b.csv"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "4.jpg").touch()
    return tmp_path / "source"


def link(path: Path, target: str) -> None:
    path.symlink_to(target, target_is_directory=True)


def test_links_are_followed_within_the_folder(folder: Path) -> None:
    link(folder / "train" / "bird", "../elsewhere/bird")
    link(folder / "train" / "dog" / "5.jpg", "../../elsewhere/bird/3.jpg")
    link(folder / "birds", "train/bird")  # a link to a link
    link(folder.parent / "linked", "source")
    expected = [
        *("b.csv", "birds/3.jpg", "elsewhere/bird/3.jpg", "train/bird/3.jpg", "train/cat/1.jpg"),
        *("train/dog/2.jpg", "train/dog/5.jpg"),
    ]
    for source in (folder, folder.parent / "linked"):
        opened = Folder(source)
        assert opened.names == [*list_files(source)] == expected
        assert opened.read("train/bird/3.jpg") == b"elsewhere/bird/3.jpg"


@pytest.mark.parametrize(
    ("place", "target", "problem"),
    [
        ("train/cat/up", "..", "form loops"),
        ("train/cat/self", "self", "lead nowhere"),
        ("train/top", "..", "form loops"),
        ("gone", "nothing", "lead nowhere"),
        ("train/fish", "../../outside", "lead outside the folder"),
        ("train/cat/4.jpg", "../../../outside/4.jpg", "lead outside the folder"),
        ("root", "/", "lead outside the folder"),
    ],
)
def test_links_that_cannot_be_followed_are_errors(
    folder: Path, place: str, target: str, problem: str
) -> None:
    link(folder / place, target)
    with pytest.raises(UserError, match=rf"1 links {problem} \({place} -> {target}\)"):
        Folder(folder)


def test_links_to_each_other_are_loops(folder: Path) -> None:
    link(folder / "train" / "cat" / "dogs", "../dog")
    link(folder / "train" / "dog" / "cats", "../cat")
    with pytest.raises(UserError, match="2 links form loops"):
        Folder(folder)


def test_links_that_multiply_files_are_refused(folder: Path) -> None:
    for level in range(12):
        (folder / f"l{level}").mkdir()
        for name in "abc":
            link(folder / f"l{level}" / name, f"../l{level + 1}")
    (folder / "l12").mkdir()
    with pytest.raises(UserError, match=f"more than {MAX_LINKED_FOLDERS:,}"):
        Folder(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names in Unicode only")
def test_names_in_old_encodings_are_read(folder: Path) -> None:
    path = folder / "train" / os.fsdecode("狗".encode("gbk"))
    path.mkdir()
    (path / "1.jpg").write_bytes(b"dog")
    opened = Folder(folder)
    assert opened.read("train/狗/1.jpg") == b"dog"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "train").chmod(0)
    with pytest.raises(UserError, match="Permission denied"):
        Folder(folder)


def test_hidden_links_do_not_count(folder: Path) -> None:
    link(folder / ".all", "/")
    assert "b.csv" in Folder(folder).names
