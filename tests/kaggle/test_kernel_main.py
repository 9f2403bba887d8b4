"""The kernel's code: how it finds its inputs, and that a folder gives the same as an archive."""

import shutil
from pathlib import Path
from typing import Any

import competitions
import file_kinds
import kernels
import layouts
import numpy as np
import pytest

from podium.competition.archive import Archive
from podium.competition.folder import Folder
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core import csvs
from podium.core.errors import UserError
from podium.dataset import build, tables
from podium.dataset.tables import Tables
from podium.images.store import ImageStore
from podium.kaggle.kernel import main, spec, start
from podium.submission.methods.base import Blend


def test_code_and_data_set_of_different_exports_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "podium.json").write_text("{}")
    folders = {"PODIUM_DATASET": str(tmp_path), "PODIUM_COMPETITION": str(tmp_path)}
    process = kernels.run(start.__file__, tmp_path / "run", **folders)
    assert process.returncode == 1 and process.stdout.startswith(f"error: {tmp_path} is not")


def test_folders_are_found_in_both_layouts_of_kaggle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "INPUT", tmp_path)
    names = "data", "datasets/me/data", "datasets/data"
    with pytest.raises(SystemExit, match=r"datasets/me/data .*PODIUM_DATASET"):
        start.find_folder("PODIUM_DATASET", *names)
    for name in reversed(names):
        (tmp_path / name).mkdir(parents=True)
        assert start.find_folder("PODIUM_DATASET", *names) == tmp_path / name


def prepare_stage(
    folder: Path, contents: dict[str, bytes], layout: Prepare
) -> tuple[Tables, ImageStore, list[float] | None]:
    """What the stage `prepare` reads and stores: tables, test images, their value range."""
    archive = Archive(competitions.write_zip(folder / "shapes.zip", contents))
    read = tables.read(archive, layout, "binary")
    ids = {"train": read.train["id"].tolist(), "test": read.test["id"].tolist()}
    stored = build.store_images(archive, ids, folder=folder / "images", layout=layout, processes=1)
    return read, ImageStore(folder / "images/test"), stored.value_range


def prepare_kernel(folder: Folder, layout: Prepare, scratch: Path) -> ImageStore:
    """The test images as the kernel stores them."""
    scratch.mkdir()
    _, test = main.read_test(folder, kernels.spec(layout))
    return main.prepare(folder, test["id"].tolist(), layout, scratch)


@pytest.mark.parametrize(
    ("layout", "zipped"),
    [
        (Prepare(max_size=20), False),
        (Prepare(test_csv=None), False),
        (Prepare(test_csv=None, sample_submission=None), False),
        (Prepare(test_images=""), False),
        (Prepare(images="{id}*"), False),
        (Prepare(encode="png", max_size=16), True),
    ],
)
def test_a_folder_gives_the_same_ids_and_pixels_as_the_archive(
    tmp_path: Path, layout: Prepare, zipped: bool
) -> None:
    contents = kernels.files(9)
    read, images, _ = prepare_stage(tmp_path, contents, layout)
    kernels.lay_out(tmp_path / "competition", contents)
    if zipped:  # as in older competitions
        inner = {n.removeprefix("test/"): d for n, d in contents.items() if n.startswith("test/")}
        competitions.write_zip(tmp_path / "competition/test.zip", inner)
        shutil.rmtree(tmp_path / "competition/test")
    folder = Folder(tmp_path / "competition")
    sample, test = main.read_test(folder, kernels.spec(layout))
    assert test.equals(read.test)
    assert sample.wide.to_csv() == read.sample.to_csv()
    assert prepare_kernel(folder, layout, tmp_path / "work").sha256() == images.sha256()


def test_the_kernel_scales_images_from_the_range_of_the_training_images(tmp_path: Path) -> None:
    contents = kernels.files(9)
    for name in [name for name in contents if name.endswith(".png")]:
        ramp = np.linspace(0, 4095 if name.startswith("train/") else 1000, 400).astype(np.uint16)
        contents[name] = competitions.encode(ramp.reshape(20, 20))
    read, images, value_range = prepare_stage(tmp_path, contents, Prepare())
    layout = Prepare(value_range=value_range)
    folder = Folder(kernels.lay_out(tmp_path / "competition", contents))
    prepared = prepare_kernel(folder, layout, tmp_path / "work")
    assert prepared.sha256() == images.sha256()
    assert prepared.decode(read.test["id"][0]).max() == 62


@pytest.mark.parametrize("encode", ["png", "original"])
@pytest.mark.parametrize("value_range", ["auto", [0.0, 50000.0]])
def test_only_a_given_range_is_one_for_dicom_images(
    tmp_path: Path, encode: str, value_range: Any
) -> None:
    contents = kernels.files(9)
    for name in [name for name in contents if name.endswith(".png")]:
        ramp = np.linspace(0, 50000, 400).astype(np.uint16).reshape(20, 20)
        contents[name] = competitions.encode(ramp)
    for name in ("train/0001", "test/0036", "test/0037"):
        del contents[f"{name}.png"]
        contents[f"{name}.dcm"] = file_kinds.dicom(ramp // 196, wide=True)
    layout = Prepare(encode=encode, value_range=value_range)
    _, images, detected = prepare_stage(tmp_path, contents, layout)
    assert detected == [0, 50000]
    assert images.decode("0036").max() == (255 if value_range == "auto" else 10)
    folder = Folder(kernels.lay_out(tmp_path / "competition", contents))
    (tmp_path / "work").mkdir()
    ids = [f"{n:04d}" for n in range(36, 45)]
    kernel = main.prepare(folder, ids, layout, tmp_path / "work", detected)
    assert kernel.sha256() == images.sha256()
    assert np.array_equal(kernel.decode("0036"), images.decode("0036"))


def test_pixels_in_tables_are_stored_without_the_training_table(tmp_path: Path) -> None:
    layout = Prepare(id_column=None, pixel_columns="pixel", sample_submission=None)
    rng = np.random.default_rng(0)
    header = ",".join(f"pixel{number}" for number in range(16))
    rows = [",".join(map(str, rng.integers(0, 256, 16))) for _ in range(12)]
    train = [f"{kernels.CLASSES[number % 2]},{row}" for number, row in enumerate(rows)]
    contents = {
        "train.csv": "\n".join([f"label,{header}", *train]).encode(),
        "test.csv": "\n".join([header, *rows[:5]]).encode(),
    }
    _, images, _ = prepare_stage(tmp_path, contents, layout)
    folder = Folder(kernels.lay_out(tmp_path / "competition", contents))
    assert "train.csv" not in folder.names
    assert prepare_kernel(folder, layout, tmp_path / "work").sha256() == images.sha256()


@pytest.mark.parametrize(
    "name", ["dicom_wide", "npy", "hdf5_encoded", "tfrecords_labeled", "parquet_pixels", "json"]
)
def test_other_kinds_of_files_are_read_as_in_the_archive(tmp_path: Path, name: str) -> None:
    kind = file_kinds.BUILDERS[name]()
    found = layouts.inspect(tmp_path, kind.files)
    layout = Prepare(**found.layout.prepare)
    stored = build.store_images(
        found.archive, found.tables.ids, folder=tmp_path / "images", layout=layout, processes=1
    )
    folder = Folder(kernels.lay_out(tmp_path / "competition", kind.files))
    assert not [name for name in folder.names if name.startswith("train/")]
    layout = layout.model_copy(update={"value_range": stored.value_range or "auto"})
    specification = kernels.spec(layout).model_copy(
        update={"classes": [*competitions.CLASSES], "task": "multiclass"}
    )
    (tmp_path / "work").mkdir()
    sample, test = main.read_test(folder, specification)
    assert sample.wide["id"].tolist() == test["id"].tolist() == found.tables.ids["test"]
    prepared = main.prepare(folder, found.tables.ids["test"], layout, tmp_path / "work")
    assert prepared.sha256() == ImageStore(tmp_path / "images/test").sha256()


def test_damaged_files_that_are_not_needed_do_not_stop_it(tmp_path: Path) -> None:
    contents = kernels.files(9)
    kernels.lay_out(tmp_path / "competition", contents)
    others = ("train.h5", "train-00.tfrec", "extra.parquet", "models.bson", "train.7z", "all.tar")
    for name in others:
        (tmp_path / "competition" / name).write_bytes(b"damaged")
    exported = kernels.spec(Prepare()).model_copy(update={"models": []})
    spec.write(tmp_path / spec.SPEC, exported)
    with pytest.raises(ValueError, match="at least one array"):  # there is no model
        main.main(tmp_path, tmp_path / "competition", tmp_path / "submission.csv")


def test_the_error_names_the_missing_image(tmp_path: Path) -> None:
    contents = kernels.files(9)
    del contents["test/0040.png"]
    folder = Folder(kernels.lay_out(tmp_path / "competition", contents))
    with pytest.raises(UserError, match=r"1 of 9 .*0040"):
        prepare_kernel(folder, Prepare(), tmp_path / "work")


def test_a_damaged_specification_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / spec.SPEC
    spec.write(path, kernels.spec(Prepare()))
    assert spec.read(tmp_path) == kernels.spec(Prepare())
    path.write_text(path.read_text().replace('"deterministic": true', '"deterministic": false'))
    with pytest.raises(UserError, match=r"podium\.json .*make kernel"):
        spec.read(tmp_path)


@pytest.mark.parametrize(("how", "expected"), [("max", 1.0), ("mean", 0.5)])
def test_images_of_an_id_share_a_row_of_the_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, expected: float
) -> None:
    contents = kernels.files(9)
    contents["test/0036_other.png"] = contents["test/0036.png"]
    competition = kernels.lay_out(tmp_path / "competition", contents)
    model = spec.ExportedModel(
        name="a", averaging="logits", folds=[], embeddings=None, neighbors=[]
    )
    changes = {
        "models": [model],
        "blend": Blend("mean", "logits", [1.0], {}),
        "aggregate": how,
        "submission": Submission(format="probability"),
    }
    exported = kernels.spec(Prepare(images="{id}*")).model_copy(update=changes)
    (tmp_path / "dataset").mkdir()
    spec.write(tmp_path / "dataset" / spec.SPEC, exported)

    def predict(*arguments: Any) -> np.ndarray:
        store, test, _ = arguments[3:]
        ids = test["id"].tolist()
        assert all(image in store for image in ids)
        return np.array([[0, 20 if "other" in image else -20] for image in ids], np.float32)

    monkeypatch.setattr(main, "predict", predict)
    main.main(tmp_path / "dataset", competition, tmp_path / "submission.csv")
    written = csvs.read(tmp_path / "submission.csv").astype({"label": float})
    assert written["id"].tolist() == [f"{n:04d}" for n in range(36, 45)]
    assert written["label"].round(6).tolist() == [expected, *[0.0] * 8]
