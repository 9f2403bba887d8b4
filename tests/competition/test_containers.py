"""Container files: their contents, damaged ones, time and memory."""

import gzip
import io
import json
import os
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import competitions
import file_kinds
import h5py
import layouts
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from podium.competition.archive import Archive
from podium.competition.containers import parquet_rows, registry, tfrecords
from podium.competition.containers.shapes import Shapes
from podium.competition.folder import Folder
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import build
from podium.dataset.image_files import image_names
from podium.images import codec
from podium.images.decoded import ImageError

TINY = competitions.encode(np.zeros((8, 8, 3), np.uint8))


def archive(folder: Path, **files: bytes) -> Archive:
    """An archive of files; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): data for name, data in files.items()}
    return Archive(competitions.write_zip(folder / "files.zip", named))


def hdf5(**content: object) -> bytes:
    with h5py.File(file := io.BytesIO(), "w") as opened:
        for name, value in content.items():
            opened[name] = value
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a/train00-2071.tfrec", "a/train"),
        ("a/b/00-512x512-798.tfrec", "a/b"),
        ("00-512x512-798.tfrec", "00-512x512-798"),
        ("ld_train00-1338.tfrec", "ld_train"),
        ("train-00000-of-00004.parquet", "train"),
        ("train_image_data_3.parquet", "train_image_data"),
        ("train-image.hdf5", "train-image"),
        ("x2/train.h5", "x2/train"),
    ],
)
def test_the_parts_of_a_data_set_share_a_folder(name: str, folder: str) -> None:
    assert registry.folder(name) == folder


def records() -> bytes:
    files = file_kinds.BUILDERS["tfrecords"]().files
    return files["records/train00-32x40-20.tfrec"]


@pytest.mark.parametrize(
    ("position", "message"),
    [(3, "checksum of the length of record 0"), (9, "checksum of the length of record 0")],
)
def test_a_tfrecord_with_a_wrong_length_is_an_error(
    tmp_path: Path, position: int, message: str
) -> None:
    data = bytearray(records())
    data[position] ^= 1
    with pytest.raises(UserError, match=rf"cannot read a\.tfrec in .*{message}"):
        archive(tmp_path, a__tfrec=bytes(data))


def test_a_tfrecord_with_damaged_pixels_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    data = bytearray(records())
    middle = data.index(b"IDAT") + 20
    data[middle] ^= 1
    opened = archive(tmp_path, a__tfrec=bytes(data))
    with pytest.raises(UserError, match=r"a/0000\.png .*checksum of the record at byte 12 is"):
        opened.read("a/0000.png")
    assert codec.decode(opened.read("a/0001.png")).shape == (40, 32, 3)


def test_all_types_of_features_are_read(tmp_path: Path) -> None:
    kind = file_kinds.BUILDERS["tfrecords_labeled"]()
    records = {name: data for name, data in kind.files.items() if name.startswith("train/")}
    opened = Archive(competitions.write_zip(tmp_path / "files.zip", records))
    table = opened.read_csv("train.csv")
    assert table.columns.tolist() == ["id", "class", "size", "weight"]
    assert table.iloc[30].tolist() == ["0030", "circle", "40", "[0.5, 1.5]"]
    assert len(table) == len(image_names(opened)) == file_kinds.TRAIN


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tfrec", records()[:-9], "truncated after 19 records"),
        ("a.tfrec", zlib.compress(records()), "ZLIB compression is not supported. Use GZIP"),
        ("a.tfrec", gzip.compress(records()[:-9]), "truncated after 19 records"),
        ("a.tfrec", b"x", "truncated after 0 records"),
        ("a.h5", b"x" * 99, "not a readable HDF5 file"),
        ("a.h5", hdf5(a=np.void(TINY), b=np.void(TINY))[:-100], "not a readable HDF5 file"),
        ("a.bson", file_kinds.documents().files["train.bson"][:-9], "damaged after 35 documents"),
        ("a.bson", b"x", "damaged after 0 documents"),
        ("a.parquet", b"PAR1xPAR1", "not a readable Parquet file"),
        ("a.json", b'[{"id": 1, "p": [' + b"1, " * 6000 + b"1]}", "not valid JSON"),
        ("a.json", b'[{"p": [' + b"1, " * 6000 + b"1]}, 7]", "not a list of objects only"),
    ],
)
def test_a_damaged_file_is_an_error_with_the_reason(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    if name == "a.json":
        data = data.replace(b"1, " * 6000, b"1, " * 6083)  # 78 x 78 pixels
    path = competitions.write_zip(tmp_path / "files.zip", {name: data})
    with pytest.raises(UserError, match=rf"cannot read {name} in .*{message}"):
        Archive(path)


def test_truncated_gzip_is_an_error(tmp_path: Path) -> None:
    data = {"a.tfrec": gzip.compress(records())[:-90]}
    path = competitions.write_zip(tmp_path / "files.zip", data)
    with pytest.raises(UserError, match=r"a.tfrec in .* is not a readable archive"):
        Archive(path)


def test_files_without_images_stay_files(tmp_path: Path) -> None:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as opened:
        opened.attrs["keras_version"] = "2"
        opened["kernel"] = np.zeros((8, 8))
        opened["other"] = np.zeros((8, 9))
    signal = pd.DataFrame(np.zeros((5, 31)), columns=[f"t{n}" for n in range(31)])
    files = {
        "weights.h5": weights.getvalue(),
        "matrix.h5": hdf5(x=np.zeros((9, 30))),
        "signal.parquet": file_kinds.parquet(signal),
        "coco.json": json.dumps([{"id": 1, "box": [1] * 20_011}]).encode(),
    }
    opened = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    assert set(opened.names) == set(files) and not image_names(opened)
    assert opened.header("signal.parquet")[-1] == "t30"


def test_the_pictures_of_a_document_are_numbered(tmp_path: Path) -> None:
    kind = file_kinds.documents(pictures_each=2)
    found = layouts.inspect(tmp_path, kind.files)
    assert found.archive.names[:2] == ["sample_submission.csv", "train/0-0.png"]
    assert len(image_names(found.archive)) == 2 * (file_kinds.TRAIN + file_kinds.TEST)
    table = found.archive.read_csv("train.csv")
    assert table.columns.tolist() == ["_id", "price", "category_id"]
    assert found.prepare["images"] is not None
    assert found.tables.train["unit"].nunique() == file_kinds.TRAIN


def test_tables_in_parquet_are_read_as_text(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "id": ["007", "é", None],
            "number": pd.array([1, None, 3], "Int64"),
            "share": [0.5, np.nan, 2.0],
            "flag": [True, False, None],
            "list": [[1, 2], [], None],
        }
    )
    opened = archive(tmp_path, train__parquet=file_kinds.parquet(table))
    read = opened.read_csv("train.parquet")
    assert read.loc[0].tolist() == ["007", "1", "0.5", "True", "[1, 2]"]
    assert read.loc[2].tolist() == ["", "3", "2.0", "", ""]
    assert opened.read_csv("train.parquet", ["share", "id"]).columns.tolist() == ["share", "id"]


def test_two_bands_are_an_error_with_the_shape(tmp_path: Path) -> None:
    files = file_kinds.json_bands(bands=2).files
    opened = Archive(competitions.write_zip(tmp_path / "files.zip", files))
    with pytest.raises(ImageError, match=r"shape \(32, 32, 2\): 2 channels are not supported"):
        codec.decode(opened.read("train/0000.npy"))


@pytest.mark.parametrize("shape", [(40, 40), (137, 236), (30, 24), (16, 16, 3), (3, 16, 16)])
def test_the_shape_of_rows_of_pixels_is_the_smoothest(shape: tuple[int, ...]) -> None:
    height, width = shape[:2] if shape[0] != 3 else shape[1:]
    y, x = np.mgrid[:height, :width]
    gray = np.stack([np.sin(y / 5 + n) * 90 + np.cos(x / 7) * 30 + 120 for n in range(4)])
    if len(shape) == 3:
        color = np.stack([gray, 255 - gray, gray / 3], axis=1 if shape[0] == 3 else 3)
        gray = color
    shapes = Shapes()
    assert shapes.add(gray.reshape(4, -1))
    assert shapes.shape(gray[0].size) == shape


def test_a_prime_number_of_values_is_no_image() -> None:
    assert not Shapes().add(np.zeros((2, 997)))


def test_texts_with_any_line_ending_survive(tmp_path: Path) -> None:
    texts = ["x\ry", "x\ny", "x\r\ny", 'x"y', "x,y"]
    table = pd.DataFrame({"id": [*"abcde"], "image": [TINY] * 5, "text": texts})
    opened = archive(tmp_path, train__parquet=file_kinds.parquet(table))
    assert opened.read_csv("train.csv").to_numpy().tolist() == [
        *map(list, zip("abcde", texts, strict=True))
    ]


@pytest.mark.parametrize("name", ["a.tfrec", "a.bson"])
def test_an_empty_file_has_no_images(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert Folder(tmp_path).names == [name]
    assert Archive(competitions.write_zip(tmp_path / "files.zip", {name: b""})).names == [name]


def test_the_same_ids_in_two_resolutions_are_two_folders(tmp_path: Path) -> None:
    data = hdf5(a=np.void(TINY), b=np.void(TINY))
    opened = archive(tmp_path, train_256__h5=data, train_512__h5=data)
    assert opened.names == ["train/a.png", "train/b.png", "train_512/a.png", "train_512/b.png"]


def test_images_that_are_there_as_files_too_are_no_ambiguity(tmp_path: Path) -> None:
    """As in ISIC 2024, whose training images are in a folder, too."""
    kind = file_kinds.BUILDERS["hdf5_encoded"]()
    images = {
        f"train-image/image/{i}.png": competitions.encode(p)
        for i, p in kind.pixels["train"].items()
    }
    found = layouts.inspect(tmp_path, {**kind.files, **images})
    assert found.prepare["train_images"] == "train-image/image"
    assert found.prepare["test_images"] == "test-image"
    assert len(found.tables.train) == file_kinds.TRAIN


@pytest.mark.parametrize(
    ("used", "opened"),
    [
        (None, ["records/test", "records/train", "test-image", "train-image"]),
        ((), []),
        (("",), ["records/test", "records/train", "test-image", "train-image"]),
        (("train",), ["records/train"]),
        (("records",), ["records/test", "records/train"]),
        (("train-image", "train.csv"), ["records/train", "train-image"]),
        (("train-image/0", "x.csv"), ["train-image"]),
    ],
)
def test_only_what_is_used_is_unpacked(
    tmp_path: Path, used: tuple[str, ...] | None, opened: list[str]
) -> None:
    files = file_kinds.BUILDERS["hdf5_one"]().files | file_kinds.BUILDERS["tfrecords"]().files
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            if not name.endswith(".csv"):
                target.writestr(name, data)
    archive = Archive(path, tmp_path / "scratch", used=used)
    assert sorted({name.rpartition("/")[0] for name in image_names(archive)}) == opened
    unpacked = [*(tmp_path / "scratch").iterdir()] if opened else []
    shards = {"records/train": 2, "records/test": 1}
    assert len(unpacked) == sum(shards.get(name, 1) for name in opened)


def test_all_files_are_closed(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files are listed on Linux only")
    files = {
        **file_kinds.BUILDERS["hdf5_one"]().files,
        **file_kinds.BUILDERS["tfrecords"]().files,
        **file_kinds.BUILDERS["parquet_encoded"]().files,
        **file_kinds.parquet_tables().files,
    }
    with Archive(competitions.write_zip(tmp_path / "files.zip", files)) as opened:
        names = image_names(opened)
        assert names
        opened.read(names[0])
    descriptors = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    assert str(opened.path) not in descriptors


def test_rows_of_pixels_are_read_in_any_order(tmp_path: Path) -> None:
    pixels = np.arange(200 * 64, dtype=np.uint16).reshape(200, 64)
    table = pd.DataFrame(pixels, columns=[f"p{n}" for n in range(64)])
    data = file_kinds.parquet(table, row_group_size=30)
    opened = archive(tmp_path, train__parquet=data)
    for row in np.random.default_rng(0).permutation(200).tolist():
        image = np.load(io.BytesIO(opened.read(f"train/{row + 1}.npy")))
        assert np.array_equal(image.ravel(), pixels[row])


def test_only_one_batch_of_encoded_images_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "MAX_BYTES", 2**20)
    rng = np.random.default_rng(0)
    images = [TINY + rng.bytes(50_000) for _ in range(300)]  # 15 MB in a row group
    data = file_kinds.parquet(pd.DataFrame({"image": images}), write_batch_size=4)
    before = most = pa.total_allocated_bytes()
    files = {f"{name}__parquet": data for name in "abcdef"}
    opened = archive(tmp_path, **files)
    for folder in "abcdef":
        for row in range(0, 300, 30):
            assert opened.read(f"{folder}/{row + 1}.png") == images[row]
            most = max(most, pa.total_allocated_bytes())
    assert most - before < 4 * 2**20


def test_images_in_parquet_are_stored_in_any_order_but_read_row_after_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{n:03d}" for n in np.random.default_rng(0).permutation(100)]
    images = {i: competitions.encode(np.full((9, 9, 3), int(i), np.uint8)) for i in ids}
    images[ids[7]] = TINY[:40]
    table = pd.DataFrame({"id": ids, "image": [images[i] for i in ids]})
    parts = {f"train-{n}.parquet": file_kinds.parquet(table[n::2]) for n in range(2)}
    others = {"train/900.png": TINY}
    archives = [
        Archive(competitions.write_zip(tmp_path / f"{name}.zip", files))
        for name, files in {
            "parquet": parts | others,
            "files": {f"train/{i}.png": data for i, data in images.items()} | others,
        }.items()
    ]
    read = list[int]()
    batches = parquet_rows.Table.batches
    monkeypatch.setattr(
        parquet_rows.Table, "batches", lambda *options: read.append(0) or batches(*options)
    )
    layout = Prepare(on_bad_image="blank", encode="png")
    stored = [
        build.store_images(
            opened,
            {"train": [], "test": [*sorted(ids), "900", "901"]},
            folder=tmp_path / str(number),
            layout=layout.model_copy(update={"test_images": "train"}),
            processes=1,
        )
        for number, opened in enumerate(archives)
    ]
    assert stored[0] == stored[1] and [*stored[0].unusable["test"]] == [ids[7], "901"]
    written = [(tmp_path / f"{number}/test/00000.arrow").read_bytes() for number in range(2)]
    assert written[0] == written[1]
    assert len(read) == 2 * 3  # to look for images, for the suffix, and here


@pytest.mark.slow
def test_a_container_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8000, 4096), np.uint8)  # 33 MB
    table = pd.DataFrame(pixels, columns=[f"{n}" for n in range(4096)])
    records = [{"id": f"j{n}", "p": row.tolist()} for n, row in enumerate(pixels[:300])]
    files = {
        "a.h5": hdf5(images=pixels.reshape(-1, 64, 64)),
        "b.parquet": file_kinds.parquet(table, row_group_size=1000),
        "c.json": json.dumps(records).encode(),
    }
    del table, records
    path = competitions.write_zip(tmp_path / "files.zip", files)
    tracemalloc.start()
    opened = Archive(path)
    for name in [*image_names(opened)][::100]:
        opened.read(name)
    assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    tracemalloc.stop()


def test_a_varint_that_never_ends_is_an_error() -> None:
    with pytest.raises(ValueError, match="too long"):
        tfrecords._varint(memoryview(b"\xff" * 20), 0)
