"""Every documented file format: `make init` recognizes it, and prepare stores the images."""

from pathlib import Path

import file_kinds
import in_process
import layouts
import numpy as np
import pytest
from competitions import CLASSES

from podium.config.prepare import Prepare
from podium.core import csvs
from podium.dataset import build
from podium.images.store import ImageStore


@pytest.mark.parametrize("name", file_kinds.BUILDERS)
def test_a_kind_of_file_is_understood_and_stored(name: str, tmp_path: Path) -> None:
    kind = file_kinds.BUILDERS[name]()
    found = layouts.inspect(tmp_path, kind.files)
    tables = found.tables
    assert (len(tables.train), len(tables.test)) == (file_kinds.TRAIN, file_kinds.TEST)
    assert tables.classes == [*CLASSES]
    layout = Prepare(**found.layout.prepare, encode="png")
    build.store_images(
        found.archive, tables.ids, folder=tmp_path / "images", layout=layout, processes=1
    )
    for part, ids in tables.ids.items():
        stored = ImageStore(tmp_path / "images" / part)
        for image, expected in zip(ids, kind.pixels[part].values(), strict=True):
            rgb = expected if expected.ndim == 3 else np.dstack([expected] * 3)
            difference = np.abs(stored.decode(image).astype(int) - rgb)
            assert difference.max() <= kind.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dicom_wide", "hdf5_one", "parquet_pixels", "seven_zip"])
def test_several_processes_store_the_same(name: str, tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, file_kinds.BUILDERS[name]().files)
    layout, stores = Prepare(**found.layout.prepare), list[str]()
    for processes in (1, 2):
        folder = tmp_path / f"images{processes}"
        ids = found.tables.ids
        build.store_images(found.archive, ids, folder=folder, layout=layout, processes=processes)
        stores += [ImageStore(folder / part).sha256() for part in ids]
    assert stores[:2] == stores[2:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dicom_wide", "tfrecords_labeled", "parts"])
def test_a_kind_of_file_leads_to_a_submission(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    in_process.run_project(file_kinds.BUILDERS[name]().files)
    written = csvs.read(Path("submissions/made.csv"))
    assert len(written) == file_kinds.TEST and set(written.iloc[:, 1]) <= {*CLASSES}
