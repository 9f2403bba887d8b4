"""The kernel's code: how it finds its inputs, and that a folder gives what an archive gives."""

import shutil
from pathlib import Path

import competitions
import kernels
import numpy as np
import pytest

from podium.competition.archive import Archive
from podium.competition.folder import Folder
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import build, tables
from podium.images.store import ImageStore
from podium.kaggle.kernel import export, main, spec, start


def test_code_and_data_set_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "podium.json").write_text("{}")
    found = {"PODIUM_DATASET": str(tmp_path), "PODIUM_COMPETITION": str(tmp_path)}
    ran = kernels.run(start.__file__, tmp_path / "run", **found)
    assert ran.returncode == 1 and "is not the export that this code belongs to" in ran.stdout


def test_folders_are_found_in_both_layouts_of_kaggle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "INPUT", tmp_path)
    places = "data", "datasets/me/data", "datasets/data"
    with pytest.raises(SystemExit, match=r"there is no folder .*data or .*: set PODIUM_DATASET"):
        start.find("PODIUM_DATASET", *places)
    for place in reversed(places):
        (tmp_path / place).mkdir(parents=True)
        assert start.find("PODIUM_DATASET", *places) == tmp_path / place


@pytest.mark.parametrize(
    ("layout", "zipped"),
    [
        (Prepare(max_size=20), False),
        (Prepare(test_csv=None), False),
        (Prepare(test_csv=None, sample_submission=None), False),
        (Prepare(test_images=""), False),
        (Prepare(encode="png", max_size=16), True),
    ],
)
def test_a_folder_gives_the_ids_and_the_pixels_that_prepare_took_from_the_archive(
    tmp_path: Path, layout: Prepare, zipped: bool
) -> None:
    found = kernels.files(9)
    archive = Archive(competitions.write_zip(tmp_path / "shapes.zip", found))
    read = tables.read(archive, layout, "binary")
    ids = {"train": read.train["id"].tolist(), "test": read.test["id"].tolist()}
    build.store_images(archive, ids, folder=tmp_path / "i", layout=layout, processes=1)

    kernels.lay_out(tmp_path / "competition", found)
    if zipped:  # as in older competitions
        inner = {n.removeprefix("test/"): d for n, d in found.items() if n.startswith("test/")}
        competitions.write_zip(tmp_path / "competition/test.zip", inner)
        shutil.rmtree(tmp_path / "competition/test")
    folder = Folder(tmp_path / "competition")
    sample, test = main.read_test(folder, kernels.described(layout))
    assert test == ids["test"]
    assert sample.to_csv() == read.sample.to_csv()
    (tmp_path / "work").mkdir()
    made = main.prepared(folder, test, layout, tmp_path / "work")
    assert made.sha256() == ImageStore(tmp_path / "i/test").sha256()


def test_the_kernel_scales_images_from_the_range_of_the_training_images(tmp_path: Path) -> None:
    found = kernels.files(9)
    for name in [name for name in found if name.endswith(".png")]:
        ramp = np.linspace(0, 4095 if name.startswith("train/") else 1000, 400).astype(np.uint16)
        found[name] = competitions.encode(ramp.reshape(20, 20))
    archive, layout = Archive(competitions.write_zip(tmp_path / "x.zip", found)), Prepare()
    read = tables.read(archive, layout, "binary")
    ids = {"train": read.train["id"].tolist(), "test": read.test["id"].tolist()}
    stored = build.store_images(archive, ids, folder=tmp_path / "i", layout=layout, processes=1)
    folder = Folder(kernels.lay_out(tmp_path / "competition", found))
    (tmp_path / "work").mkdir()
    exported = export.with_value_range(layout, stored.value_range)
    made = main.prepared(folder, ids["test"], exported, tmp_path / "work")
    assert made.sha256() == ImageStore(tmp_path / "i/test").sha256()
    assert made.decode(ids["test"][0]).max() == 62


def test_pixels_in_tables_are_stored_without_the_training_table(tmp_path: Path) -> None:
    layout = Prepare(id_column=None, pixel_columns="pixel", sample_submission=None)
    rng = np.random.default_rng(0)
    header = ",".join(f"pixel{number}" for number in range(16))
    rows = [",".join(map(str, rng.integers(0, 256, 16))) for _ in range(12)]
    train = [f"{kernels.CLASSES[number % 2]},{row}" for number, row in enumerate(rows)]
    found = {
        "train.csv": "\n".join([f"label,{header}", *train]).encode(),
        "test.csv": "\n".join([header, *rows[:5]]).encode(),
    }
    archive = Archive(competitions.write_zip(tmp_path / "shapes.zip", found))
    read = tables.read(archive, layout, "binary")
    ids = {"train": read.train["id"].tolist(), "test": read.test["id"].tolist()}
    build.store_images(archive, ids, folder=tmp_path / "i", layout=layout, processes=1)
    folder = Folder(kernels.lay_out(tmp_path / "competition", found))
    assert "train.csv" not in folder.names
    _, test = main.read_test(folder, kernels.described(layout))
    (tmp_path / "work").mkdir()
    made = main.prepared(folder, test, layout, tmp_path / "work")
    assert made.sha256() == ImageStore(tmp_path / "i/test").sha256()


def test_an_image_that_is_not_in_the_folder_is_named(tmp_path: Path) -> None:
    found = kernels.files(9)
    del found["test/0040.png"]
    folder = Folder(kernels.lay_out(tmp_path / "competition", found))
    _, test = main.read_test(folder, kernels.described(Prepare()))
    (tmp_path / "work").mkdir()
    with pytest.raises(UserError, match=r"1 of 9 test images .* test/: 0040"):
        main.prepared(folder, test, Prepare(), tmp_path / "work")


def test_a_damaged_export_says_to_export_again(tmp_path: Path) -> None:
    path = tmp_path / spec.CONFIG
    spec.write(path, kernels.described(Prepare()))
    assert spec.read(tmp_path) == kernels.described(Prepare())
    path.write_text(path.read_text().replace('"deterministic": true', '"deterministic": false'))
    with pytest.raises(UserError, match="is damaged: export it again: `make kernel`"):
        spec.read(tmp_path)
