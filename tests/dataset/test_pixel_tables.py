"""Images in tables, as in Kaggle's Digit Recognizer."""

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest
from conftest import Project

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import build, pixel_tables, tables
from podium.dataset.tables import Tables
from podium.images import resizing, store
from podium.images.store import ImageStore

LAYOUT: dict[str, Any] = {
    "id_column": None,
    "pixel_columns": "pixel",
    "sample_submission": "sample_submission.csv",
}
RNG = np.random.default_rng(0)


def table(values: np.ndarray, prefix: str = "pixel", **first: list[str]) -> pd.DataFrame:
    """A table of pixels [N, n] with other columns before them."""
    columns = [f"{prefix}{number}" for number in range(values.shape[1])]
    result = pd.DataFrame(values, columns=columns)
    return pd.DataFrame(first).join(result) if first else result


def competition(train: np.ndarray, test: np.ndarray, prefix: str = "pixel") -> dict[str, bytes]:
    """Digit Recognizer: label,pixel0,…; pixel0,…; ImageId,Label."""
    digits = [str(number % 3) for number in range(len(train))]
    sample = {"ImageId": range(1, len(test) + 1), "Label": 0}
    return {
        "train.csv": competitions.csv(table(train, prefix, label=digits)),
        "test.csv": competitions.csv(table(test, prefix)),
        "sample_submission.csv": competitions.csv(pd.DataFrame(sample)),
    }


def prepare(
    folder: Path, files: Mapping[str, bytes], **layout: Any
) -> tuple[Tables, dict[str, ImageStore]]:
    archive = Archive(competitions.write_zip(folder / "files.zip", dict(files)))
    chosen = Prepare(**{**LAYOUT, **layout})
    result = tables.read(archive, chosen, "multiclass")
    ids = {"train": result.train["id"].tolist(), "test": result.test["id"].tolist()}
    stored = build.store_images(archive, ids, folder=folder / "images", layout=chosen, processes=1)
    assert stored.unusable == {"train": {}, "test": {}}
    assert {part: [*checksums] for part, checksums in stored.checksums.items()} == ids
    return result, {part: ImageStore(folder / "images" / part) for part in ids}


def values(count: int, size: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, size))


def test_each_row_is_an_image_in_the_order_of_the_header(tmp_path: Path) -> None:
    train, test = values(9, 64), values(4, 64)
    result, stores = prepare(tmp_path, competition(train, test))
    assert result.train["id"].tolist() == [str(number) for number in range(1, 10)]
    assert result.train["label"].tolist() == ["0", "1", "2"] * 3
    assert result.test["id"].tolist() == ["1", "2", "3", "4"]
    for part, rows in (("train", train), ("test", test)):
        for number, row in enumerate(rows, start=1):
            decoded = stores[part].decode(str(number))
            assert np.array_equal(decoded, np.repeat(row.reshape(8, 8, 1), 3, axis=2))


def test_the_test_ids_are_the_sample_submissions_in_its_order(tmp_path: Path) -> None:
    test = values(3, 16)
    files = competition(values(6, 16), test)
    files["sample_submission.csv"] = b"ImageId,Label\nc,0\na,0\nb,0\n"
    result, stores = prepare(tmp_path, files)
    assert result.test["id"].tolist() == ["c", "a", "b"]
    assert np.array_equal(stores["test"].decode("a")[..., 0], test[1].reshape(4, 4))
    files["sample_submission.csv"] = b"ImageId,Label\nc,0\na,0\n"
    with pytest.raises(UserError, match=r"sample_submission\.csv has 2 rows.* test\.csv has 3"):
        prepare(tmp_path, files)


def test_without_a_sample_submission_the_test_ids_are_the_rows_numbers(tmp_path: Path) -> None:
    files = competition(values(6, 16), values(2, 16))
    result, _ = prepare(tmp_path, files, sample_submission=None)
    assert result.sample.to_dict("list") == {"id": ["1", "2"], "label": ["", ""]}


def test_pixel_tables_may_have_an_id_column(tmp_path: Path) -> None:
    train, test = values(3, 16), values(2, 16)
    files = {
        "train.csv": competitions.csv(table(train, name=["x", "07", "z"], label=["a", "b", "a"])),
        "test.csv": competitions.csv(table(test, name=["p", "q"])),
        "sample_submission.csv": b"name,label\nq,a\np,a\n",
    }
    result, stores = prepare(tmp_path, files, id_column="name")
    assert result.test["id"].tolist() == ["p", "q"]
    assert np.array_equal(stores["train"].decode("07")[..., 0], train[1].reshape(4, 4))
    assert np.array_equal(stores["test"].decode("q")[..., 0], test[1].reshape(4, 4))
    files["train.csv"] = files["train.csv"].replace(b"z,", b"x,")
    with pytest.raises(UserError, match=r"1 duplicate id: x\..* prepare\.id_column: null"):
        prepare(tmp_path / "images", files, id_column="name")


@pytest.mark.parametrize("order", ["interleaved", "planar"])
def test_three_times_a_square_is_rgb(tmp_path: Path, order: str) -> None:
    train = values(3, 48)
    _, stores = prepare(tmp_path, competition(train, values(1, 48)), pixel_order=order)
    expected = train[0].reshape(4, 4, 3)
    if order == "planar":
        expected = train[0].reshape(3, 4, 4).transpose(1, 2, 0)
    assert np.array_equal(stores["train"].decode("1"), expected)


@pytest.mark.parametrize("names", ["1x1", "0"])
def test_columns_may_be_numbers_only(tmp_path: Path, names: str) -> None:
    train = values(3, 16)
    files = competition(train, values(1, 16), prefix="")
    if names == "1x1":
        header = ",".join(f"{1 + n // 4}x{1 + n % 4}" for n in range(16)).encode()
        for name in ("train.csv", "test.csv"):
            old = ",".join(map(str, range(16))).encode()
            files[name] = files[name].replace(old, header, 1)
    _, stores = prepare(tmp_path, files, pixel_columns="")
    assert np.array_equal(stores["train"].decode("2")[..., 0], train[1].reshape(4, 4))


def in_cells(train: np.ndarray, test: np.ndarray) -> dict[str, bytes]:
    """FER-2013: label,pixels; pixels."""
    files = competition(train, test)
    for name, rows in (("train.csv", train), ("test.csv", test)):
        cells = pd.DataFrame({"pixels": [" ".join(map(str, row)) for row in rows]})
        if name == "train.csv":
            cells.insert(0, "label", [str(number % 3) for number in range(len(rows))])
        files[name] = competitions.csv(cells)
    return files


def test_all_pixels_of_an_image_may_be_in_one_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_tables, "MAX_VALUES", 48 * 4)  # 4 rows
    train, test = values(9, 48), values(5, 48)
    result, stores = prepare(tmp_path, in_cells(train, test), pixel_columns="pixels")
    assert result.train["label"].tolist() == ["0", "1", "2"] * 3
    for part, rows in (("train", train), ("test", test)):
        for number, row in enumerate(rows, start=1):
            assert np.array_equal(stores[part].decode(str(number)), row.reshape(4, 4, 3))


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (
            "1 2 x " + "0 " * 13,
            r"train\.csv, row 6: number 3 of pixels is 'x'",
        ),
        ("1 2 256 " + "0 " * 13, "row 6: number 3 of pixels is '256'"),
        ("1 2 0.5 " + "0 " * 13, "row 6: number 3 of pixels is '0.5'"),
        ("1 2", "row 6: pixels has 2 .* 16"),
    ],
)
def test_the_error_names_the_damaged_cell_of_pixels(
    tmp_path: Path, cell: str, problem: str
) -> None:
    files = in_cells(values(9, 16), values(2, 16))
    lines = files["train.csv"].decode().splitlines()
    lines[5] = f"1,{cell}"
    files["train.csv"] = "\n".join(lines).encode()
    with pytest.raises(UserError, match=problem):
        prepare(tmp_path, files, pixel_columns="pixels")


def test_cells_of_pixels_are_squares_of_one_size(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"images of train\.csv have 16 pixels, those of test\.csv 25"
    ):
        prepare(tmp_path, in_cells(values(6, 16), values(2, 25)), pixel_columns="pixels")
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match=r"train\.csv has 17 pixels"):
        prepare(tmp_path / "b", in_cells(values(6, 17), values(2, 17)), pixel_columns="pixels")


def test_large_images_are_downsized(tmp_path: Path) -> None:
    train = values(3, 1024)
    _, stores = prepare(tmp_path, competition(train, values(1, 1024)), max_size=16)
    expected = resizing.resize(train[0].reshape(32, 32).astype(np.uint8), 16, 16)
    assert np.array_equal(stores["train"].decode("1")[..., 0], expected)


def test_the_images_of_several_files_and_chunks_are_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHARD_SIZE", 8)
    monkeypatch.setattr(pixel_tables, "MAX_VALUES", 17 * 5)  # 5 rows
    train = values(30, 16)
    _, stores = prepare(tmp_path, competition(train, values(8, 16)))
    assert len([*(tmp_path / "images/train").iterdir()]) == 4
    assert len([*(tmp_path / "images/test").iterdir()]) == 1
    for number, row in enumerate(train, start=1):
        assert np.array_equal(stores["train"].decode(str(number))[..., 0], row.reshape(4, 4))


@pytest.mark.parametrize("value", ["256", "-1", "0.5", "", "x", "nan", "inf", "True", "1,2"])
def test_an_invalid_pixel_is_an_error_with_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(pixel_tables, "MAX_VALUES", 17 * 5)
    files = competition(values(30, 16), values(2, 16))
    lines = files["train.csv"].split(b"\n")
    lines[19] = b",".join([*lines[19].split(b",")[:-1], value.encode()])  # line 20 of the file
    files["train.csv"] = b"\n".join(lines)
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, files)
    if value == "1,2":
        assert "row 20 has 18 fields, the header has 17" in str(caught.value)
    else:
        assert str(caught.value).startswith(f"train.csv, row 20: pixel15 is {value!r}, but pixels")


def test_whole_numbers_may_have_a_point(tmp_path: Path) -> None:
    train = values(3, 16)
    _, stores = prepare(tmp_path, competition(train.astype(float), values(1, 16)))
    assert np.array_equal(stores["train"].decode("3")[..., 0], train[2].reshape(4, 4))


def test_columns_that_make_no_square_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.csv has 17 pixels"):
        prepare(tmp_path, competition(values(3, 17), values(1, 17)))
    with pytest.raises(UserError, match=r"train\.csv has no pixel columns px0"):
        prepare(tmp_path, competition(values(3, 16), values(1, 16)), pixel_columns="px")


@pytest.mark.parametrize(("count", "expected"), [(784, (28, 1)), (3072, (32, 3)), (1, (1, 1))])
def test_the_shape_follows_from_the_number_of_columns(
    count: int, expected: tuple[int, int]
) -> None:
    assert pixel_tables.square_shape(count) == expected


def test_the_error_names_the_rows_of_missing_labels(tmp_path: Path) -> None:
    files = competition(values(3, 16), values(1, 16))
    lines = files["train.csv"].split(b"\n")
    lines[2] = b"," + lines[2].partition(b",")[2]
    with pytest.raises(UserError, match=r"train\.csv: 1 rows have no label: 2 \(row 3\)"):
        prepare(tmp_path, {**files, "train.csv": b"\n".join(lines)})


def peak(folder: Path, rows: int) -> int:
    """The most memory, in bytes, that preparing a table of so many rows takes."""
    folder.mkdir()
    block = competitions.csv(table(values(500, 256), label=["0", "1"] * 250))
    header, _, body = block.partition(b"\n")
    files = competition(values(3, 256), values(1, 256))
    files["train.csv"] = header + b"\n" + body * (rows // 500)
    archive = Archive(competitions.write_zip(folder / "files.zip", files))
    layout = Prepare(**LAYOUT)
    del files
    tracemalloc.start()
    try:
        result = tables.read(archive, layout, "multiclass")
        ids = {"train": result.train["id"].tolist(), "test": result.test["id"].tolist()}
        build.store_images(archive, ids, folder=folder / "images", layout=layout, processes=1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_tables, "MAX_VALUES", 200_000)
    few, many = peak(tmp_path / "few", 2_000), peak(tmp_path / "many", 20_000)
    growth = (many - few) / 18_000  # bytes a row; its pixels are some 900 as text, 2,048 as numbers
    assert growth < 300, (few, many)


@pytest.mark.slow
def test_the_stage_prepares_a_table_of_pixels(project: Project) -> None:
    project.write_archive(competition(values(12, 64), values(4, 64)))
    project.edit(lambda params: params.update(prepare=LAYOUT))
    for stage in ("fetch", "prepare"):
        done = project.stage(stage)
        assert done.returncode == 0, done.stdout
    assert done.stdout == "12 training images of 3 classes, 4 test images\n"
    assert len(ImageStore(project.folder / "data/images/test")) == 4
