from pathlib import Path

import competitions
import cv2
import numpy as np
import pytest
from conftest import Project

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.dataset import build
from podium.dataset.build import StoredImages
from podium.images import codec, resizing, store
from podium.images.store import ImageStore

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
    monkeypatch.setattr(store, "SHARD_SIZE", 8)


def prepare(archive: Archive, folder: Path, *, processes: int = 1, **layout: int | str) -> Path:
    store_images(archive, folder, processes=processes, **layout)
    return folder


def store_images(
    archive: Archive, folder: Path, *, processes: int = 1, **layout: int | str
) -> StoredImages:
    options = Prepare.model_validate(layout)
    return build.store_images(archive, IDS, folder=folder, layout=options, processes=processes)


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_each_image_is_in_the_store_of_its_part(archive: Archive, tmp_path: Path) -> None:
    folder = prepare(archive, tmp_path / "images")
    for part, ids in IDS.items():
        opened = ImageStore(folder / part)
        assert len(opened) == len(ids)
        for image in ids:
            expected = codec.decode(archive.read(f"{part}/{image}.png"))
            assert np.array_equal(opened.decode(image), expected)


@pytest.mark.slow
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
    expected = resizing.resize(codec.decode(archive.read("train/0000.png")), 20, 16)
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
def test_the_error_names_all_images_that_cannot_be_decoded(tmp_path: Path) -> None:
    files = {**competitions.competition(), **BROKEN}
    archive = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    with pytest.raises(UserError) as caught:
        prepare(archive, tmp_path / "images")
    message = str(caught.value)
    assert message.startswith("2 of 36 training images are unusable: ")
    assert "; 1 of 9 test images is unusable: " in message
    assert "0003 (train/0003.png: an empty file)" in message
    assert "0030 (train/0030.png: not an image)" in message
    assert "0040 (test/0040.png: " in message


@pytest.mark.usefixtures("small_shards")
def test_the_error_names_an_entry_damaged_in_the_archive(tmp_path: Path) -> None:
    files = competitions.competition()
    path = competitions.write_zip(tmp_path / "files.zip", files)
    data = bytearray(path.read_bytes())
    data[data.index(files["train/0020.png"]) + 100] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cannot read train/0020\.png in .*files\.zip"):
        prepare(Archive(path), tmp_path / "images", processes=2)


def test_the_error_names_a_missing_image_before_any_is_decoded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {**competitions.competition(), **BROKEN}
    del files["test/0041.png"]
    archive = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    monkeypatch.setattr(codec, "reencode", pytest.fail)
    with pytest.raises(UserError, match=r"1 of 9 test images .* test/: 0041"):
        prepare(archive, tmp_path / "images")


def faulty(folder: Path, *lost: str) -> Archive:
    """A competition with broken images, and without some."""
    files = {**competitions.competition(), **BROKEN}
    for name in lost:
        del files[name]
    return Archive(competitions.write_zip(folder / "files.zip", files))


TRAIN_ONLY = {name: data for name, data in BROKEN.items() if name.startswith("train")}


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("encode", ["jpeg", "original"])
def test_bad_images_are_left_out_of_training_and_blank_for_the_test(
    tmp_path: Path, processes: int, encode: str
) -> None:
    archive = faulty(tmp_path, "train/0005.png", "test/0041.png")
    folder = tmp_path / "images"
    stored = store_images(archive, folder, processes=processes, on_bad_image="blank", encode=encode)
    bad = stored.unusable
    assert [*bad["train"]] == ["0003", "0005", "0030"] and [*bad["test"]] == ["0040", "0041"]
    assert bad["train"]["0003"] == "train/0003.png: an empty file"
    assert bad["train"]["0005"] == "not in the archive"
    train, test = ImageStore(folder / "train"), ImageStore(folder / "test")
    assert len(train) == 33 and not any(image in train for image in bad["train"])
    assert len(test) == 9
    assert test.decode("0041").shape == (64, 64, 3) and not test.decode("0041").any()
    assert test.decode("0042").any()
    warnings = stored.warnings(Prepare())
    assert warnings[0].startswith("3 training images are unusable and dropped: 0003 (")
    assert warnings[1].startswith("2 test images are unusable and black: 0040 (")
    assert len(stored.checksums["train"]) == 33 and len(stored.checksums["test"]) == 7


def test_a_blank_image_is_as_large_as_others_may_be(tmp_path: Path) -> None:
    archive = faulty(tmp_path)
    store_images(archive, tmp_path / "images", on_bad_image="blank", max_size=24)
    assert ImageStore(tmp_path / "images/test").decode("0040").shape == (24, 24, 3)


def test_bad_images_may_be_left_out_of_training_only(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        store_images(faulty(tmp_path), tmp_path / "images", on_bad_image="skip")
    assert str(caught.value).startswith("1 of 9 test images is unusable: 0040 (test/0040.png: ")
    assert "prepare.on_bad_image: blank" in str(caught.value)


@pytest.mark.parametrize("part", ["train", "test"])
def test_if_all_images_of_a_part_are_missing_the_folder_is_wrong(tmp_path: Path, part: str) -> None:
    files = {
        name: data
        for name, data in competitions.competition(36, 9).items()
        if not name.startswith(f"{part}/")
    }
    archive = Archive(competitions.write_zip(tmp_path / "shapes.zip", files))
    with pytest.raises(UserError, match=rf"missing from {part}/: .*Set prepare\.{part}_images to"):
        store_images(archive, tmp_path / "images")


def test_a_missing_test_image_is_an_error_where_training_images_are_skipped(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^1 of 9 test images .* test/: 0041\."):
        store_images(
            faulty(tmp_path, "test/0041.png", "train/0001.png"),
            tmp_path / "images",
            on_bad_image="skip",
        )


def twelve_bits(folder: Path, *, train: int, test: int) -> Archive:
    """A competition of 12-bit images in 16-bit files: ramps from 96 to `train` or `test`; 0 and 0
    for 8-bit ones.
    """
    files = competitions.competition()
    for name in [name for name in files if name.endswith(".png")]:
        if high := train if name.startswith("train/") else test:
            ramp = np.linspace(96, high, 300).astype(np.uint16).reshape(15, 20)
            files[name] = cv2.imencode(".png", ramp)[1].tobytes()
    return Archive(competitions.write_zip(folder / "files.zip", files))


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("encode", ["png", "original"])
def test_more_than_8_bits_are_scaled_from_the_range_of_the_training_images(
    tmp_path: Path, encode: str, processes: int
) -> None:
    archive = twelve_bits(tmp_path, train=4000, test=2048)
    layout = Prepare(encode=encode)
    stored = build.store_images(
        archive, IDS, folder=tmp_path / "images", layout=layout, processes=processes
    )
    assert stored.value_range == [96, 4000] and not any(stored.unusable.values())
    train, test = (ImageStore(tmp_path / "images" / part) for part in IDS)
    assert len(train) == len(IDS["train"]) and len(test) == len(IDS["test"])
    assert len(np.unique(train.decode("0007"))) == 256
    assert [test.decode("0040").min(), test.decode("0040").max()] == [0, 128]
    (warning,) = stored.warnings(layout)
    assert "value_range: [96, 4000]" in warning


def test_a_given_range_is_used_for_all_images_and_needs_no_note(tmp_path: Path) -> None:
    archive, layout = twelve_bits(tmp_path, train=4000, test=2048), Prepare(value_range=[0, 4080])
    stored = build.store_images(
        archive, IDS, folder=tmp_path / "images", layout=layout, processes=1
    )
    assert stored.value_range == [0, 4080]
    assert ImageStore(tmp_path / "images/train").decode("0007").max() == 250
    assert ImageStore(tmp_path / "images/test").decode("0040").max() == 128
    assert not stored.warnings(layout)


@pytest.mark.parametrize(("train", "test", "expected"), [(0, 1000, [96, 1000]), (0, 0, None)])
def test_images_of_8_bits_have_no_range(
    tmp_path: Path, train: int, test: int, expected: list[float] | None
) -> None:
    archive = twelve_bits(tmp_path, train=train, test=test)
    stored = build.store_images(
        archive, IDS, folder=tmp_path / "images", layout=Prepare(), processes=1
    )
    assert stored.value_range == expected
    pixels = ImageStore(tmp_path / "images/train").decode("0007")
    assert np.array_equal(pixels, codec.decode(archive.read("train/0007.png")))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["skip", "blank"])
def test_the_stage_drops_bad_training_images_and_reports_it(project: Project, how: str) -> None:
    files = {**competitions.competition(), **TRAIN_ONLY}
    del files["train/0005.png"]
    project.write_archive(files)
    project.edit(lambda params: params["prepare"].update(on_bad_image=how))
    assert project.stage("fetch").returncode == 0
    done = project.stage("prepare", PODIUM_WORKERS="1")
    assert done.returncode == 0, done.stdout
    warning, last = done.stdout.splitlines()
    assert warning.startswith("warning: 3 training images ") and warning.endswith(
        ": 0003 (train/0003.png: an empty file), 0005 (not in the archive), 0030 (train/0030.png: "
        "not an image)"
    )
    assert last == "33 training images of 3 classes, 9 test images"
    ids = [line.split(b",")[0] for line in project.read("data/train.csv").splitlines()[1:]]
    assert len(ids) == 33 and not {b"0003", b"0005", b"0030"} & {*ids}


@pytest.mark.slow
def test_the_stage_refuses_to_leave_out_all_images_but_those_of_a_class(project: Project) -> None:
    files = competitions.competition()
    for number in range(36):
        if number % 3:
            files[f"train/{number:04d}.png"] = b""
    project.write_archive(files)
    project.edit(lambda params: params["prepare"].update(on_bad_image="skip"))
    assert project.stage("fetch").returncode == 0
    done = project.stage("prepare", PODIUM_WORKERS="1")
    assert done.stdout.startswith(
        "error: training images without the 24 unusable ones: all labels are 'circle'"
    )
    assert {path.name for path in (project.folder / "data").iterdir()} == {"raw", "solution"}


@pytest.mark.slow
def test_the_stage_prepares_folders_without_any_table(project: Project) -> None:
    known, hidden = competitions.tables(12, 3)
    source = competitions.competition(12, 3)
    files = {f"train/{r.label}/{r.id}.png": source[f"train/{r.id}.png"] for r in known.itertuples()}
    files |= {f"test/{r.id}.png": source[f"test/{r.id}.png"] for r in hidden.itertuples()}
    project.write_archive(files)
    none = {"train_csv": None, "test_csv": None, "sample_submission": None}
    project.edit(lambda params: params.update(prepare=none))
    for stage in ("fetch", "prepare"):
        done = project.stage(stage, PODIUM_WORKERS="1")
        assert done.returncode == 0, done.stdout
    assert project.read("data/train.csv").splitlines()[1] == b"circle/0000.png,circle"
    assert project.read("data/test.csv").splitlines()[1:] == [b"0012.png", b"0013.png", b"0014.png"]
    opened = ImageStore(project.folder / "data/images/train")
    expected = codec.decode(source["train/0000.png"])
    assert np.array_equal(opened.decode("circle/0000.png"), expected)


@pytest.mark.slow
def test_the_record_names_the_task(project: Project) -> None:
    for stage in ("fetch", "prepare"):
        assert project.stage(stage).returncode == 0
    assert Manifest(project.folder / "data/prepared.json").facts["task"] == "multiclass"


@pytest.mark.slow
def test_the_stage_writes_images_tables_and_classes(project: Project) -> None:
    assert project.stage("fetch").returncode == 0
    done = project.stage("prepare", PODIUM_WORKERS="1")
    assert done.returncode == 0, done.stdout
    assert done.stdout == "36 training images of 3 classes, 9 test images\n"
    expected = competitions.competition()
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        assert project.read(f"data/{name}") == expected[name]
    assert len(ImageStore(project.folder / "data/images/train")) == 36


@pytest.mark.slow
def test_a_failing_stage_leaves_one_message_and_nothing_half_written(project: Project) -> None:
    raw = project.folder / "data/raw"
    raw.mkdir(parents=True)
    competitions.write_zip(raw / "shapes.zip", {**competitions.competition(), **BROKEN})
    done = project.stage("prepare", PODIUM_WORKERS="2")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: 2 of 36 training images are unusable: 0003 (train/0003.png")
    assert list((project.folder / "data").iterdir()) == [raw]


@pytest.mark.parametrize(
    ("encode", "size"), [("jpeg", None), ("jpeg", 10), ("png", 10), ("original", None)]
)
def test_equal_pixels_have_equal_checksums_in_whatever_file(
    tmp_path: Path, encode: str, size: int | None
) -> None:
    files = competitions.competition()
    pixels = codec.decode(files["train/0000.png"])
    other = pixels.copy()
    other[0, 0, 0] ^= 255
    files |= {
        "train/0001.png": files["train/0000.png"],
        "train/0002.png": competitions.encode(pixels, "BMP"),
        "train/0003.png": competitions.encode(other),
        "train/0004.png": competitions.encode(np.rot90(pixels)),
    }
    assert files["train/0002.png"] != files["train/0000.png"]
    archive = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    stored = store_images(archive, tmp_path / "images", encode=encode, max_size=size)
    first, *others = (stored.checksums["train"][f"000{number}"] for number in range(5))
    assert [checksum == first for checksum in others] == [True, True, False, False]
    assert len(set(stored.checksums["test"].values())) == 9
