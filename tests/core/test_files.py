import fcntl
import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from podium.core import files


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file"
    with files.atomic(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_is_flushed_to_disk_by_a_descriptor_that_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses any other."""
    modes, fsync = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (modes.append(fcntl.fcntl(fd, fcntl.F_GETFL)), fsync(fd))
    )
    files.write_bytes(tmp_path / "file", b"x")
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_RDWR]
    with files.atomic(tmp_path / "folder") as temporary:
        temporary.mkdir()
    assert len(modes) == 1  # a folder cannot be flushed there


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.atomic(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_the_one_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with files.atomic(target) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(KeyboardInterrupt), files.atomic(target) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        raise KeyboardInterrupt
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_run_left_does_not_get_into_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / "folder.tmp"
    left.mkdir()
    (left / "stale").touch()
    with files.atomic(tmp_path / "folder") as temporary:
        temporary.mkdir()
    assert list((tmp_path / "folder").iterdir()) == []


def test_removing_takes_files_folders_and_nothing_alike(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "nothing"):
        files.remove(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_removing_a_link_leaves_the_folder_that_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    files.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_csv_and_json_have_the_same_bytes_on_every_platform(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "a.csv", pd.DataFrame({"id": ["01", "é"], "label": [1, 2]}))
    assert (tmp_path / "a.csv").read_bytes() == "id,label\n01,1\né,2\n".encode()
    files.write_json(tmp_path / "a.json", ["é", 1])
    assert (tmp_path / "a.json").read_bytes() == '[\n  "é",\n  1\n]\n'.encode()
    assert files.read_json(tmp_path / "a.json") == ["é", 1]


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    data = bytes(300_000)
    (tmp_path / "file").write_bytes(data)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
