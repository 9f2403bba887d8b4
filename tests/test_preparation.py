from pathlib import Path

import competitions
import numpy as np
import pytest
from conftest import Project

from podium import images, preparation, store
from podium.archive import Archive
from podium.errors import UserError
from podium.schema import Prepare
from podium.store import ImageStore

IDS = {
    "train": [f"{number:04d}" for number in range(36)],
    "test": [f"{number:04d}" for number in range(36, 45)],
}
BROKEN = {
    "train/0003.png": b"",
    "train/0030.png": b"<html>404</html>",
    "test/0040.png": competitions.competition()["test/0040.png"][:300],
}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(competitions.write_zip(tmp_path / "files.zip", competitions.competition()))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHARD", 8)


def prepare(archive: Archive, folder: Path, *, processes: int = 1, **layout: int | str) -> Path:
    chosen = Prepare.model_validate(layout)
    preparation.store_images(archive, IDS, folder=folder, layout=chosen, processes=processes)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_each_image_is_in_the_store_of_its_part(archive: Archive, tmp_path: Path) -> None:
    folder = prepare(archive, tmp_path / "images")
    for part, ids in IDS.items():
        opened = ImageStore(folder / part)
        assert len(opened) == len(ids)
        for image in ids:
            expected = images.decode(archive.read(f"{part}/{image}.png"))
            assert np.array_equal(opened.decode(image), expected)


@pytest.mark.usefixtures("small_shards")
def test_the_number_of_processes_does_not_change_a_byte(archive: Archive, tmp_path: Path) -> None:
    one, two, three = (
        contents(prepare(archive, tmp_path / str(processes), processes=processes, max_size=24))
        for processes in (1, 2, 3)
    )
    assert list(one) == [
        *(f"test/{number:05d}.arrow" for number in range(2)),
        *(f"train/{number:05d}.arrow" for number in range(5)),
    ]
    assert one == two == three


@pytest.mark.usefixtures("small_shards")
def test_images_in_many_files_are_all_there(archive: Archive, tmp_path: Path) -> None:
    folder = prepare(archive, tmp_path / "images")
    assert len(ImageStore(folder / "train")) == 36
    assert len(ImageStore(folder / "test")) == 9


@pytest.mark.parametrize("encode", ["jpeg", "png"])
def test_large_images_are_downsized(archive: Archive, tmp_path: Path, encode: str) -> None:
    folder = prepare(archive, tmp_path / "images", max_size=16, encode=encode)
    pixels = ImageStore(folder / "train").decode("0000")
    expected = images.resize(images.decode(archive.read("train/0000.png")), 20, 16)
    assert pixels.shape == expected.shape
    assert np.array_equal(pixels, expected) == (encode == "png")  # JPEG loses a little


def test_a_lower_quality_takes_less_space(archive: Archive, tmp_path: Path) -> None:
    good, poor = (
        prepare(archive, tmp_path / str(quality), max_size=24, quality=quality)
        for quality in (95, 30)
    )
    sizes = [sum(map(len, contents(folder).values())) for folder in (good, poor)]
    assert sizes[1] < sizes[0] / 1.5


@pytest.mark.usefixtures("small_shards")
def test_all_images_that_cannot_be_decoded_are_named(tmp_path: Path) -> None:
    files = {**competitions.competition(), **BROKEN}
    archive = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    with pytest.raises(UserError) as caught:
        prepare(archive, tmp_path / "images")
    message = str(caught.value)
    assert message.startswith("3 images cannot be decoded: ")
    assert "0003 (train/0003.png: an empty file)" in message
    assert "0030 (train/0030.png: not an image)" in message
    assert "0040 (test/0040.png: " in message


@pytest.mark.usefixtures("small_shards")
def test_an_entry_damaged_in_the_archive_is_named(tmp_path: Path) -> None:
    files = competitions.competition()
    path = competitions.write_zip(tmp_path / "files.zip", files)
    data = bytearray(path.read_bytes())
    data[data.index(files["train/0020.png"]) + 100] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"train/0020\.png in .*files\.zip cannot be read"):
        prepare(Archive(path), tmp_path / "images", processes=2)


def test_a_missing_image_is_named_before_any_is_decoded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {**competitions.competition(), **BROKEN}
    del files["test/0041.png"]
    archive = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    monkeypatch.setattr(images, "store", pytest.fail)
    with pytest.raises(UserError, match=r"1 of 9 images .* folder test: 0041"):
        prepare(archive, tmp_path / "images")


def test_the_stage_writes_images_tables_and_classes(project: Project) -> None:
    assert project.stage("fetch").returncode == 0
    done = project.stage("prepare", PODIUM_WORKERS="1")
    assert done.returncode == 0, done.stdout
    assert done.stdout == "36 training images of 3 classes, 9 test images\n"
    expected = competitions.competition()
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        assert project.read(f"data/{name}") == expected[name]
    assert project.read("data/classes.json") == b'[\n  "circle",\n  "square",\n  "stripes"\n]\n'
    assert len(ImageStore(project.folder / "data/images/train")) == 36


def test_a_failing_stage_leaves_one_message_and_nothing_half_written(project: Project) -> None:
    raw = project.folder / "data/raw"
    raw.mkdir(parents=True)
    competitions.write_zip(raw / "shapes.zip", {**competitions.competition(), **BROKEN})
    done = project.stage("prepare", PODIUM_WORKERS="2")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: 3 images cannot be decoded: 0003 (train/0003.png")
    assert list((project.folder / "data").iterdir()) == [raw]
