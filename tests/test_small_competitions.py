"""Small competitions with one peculiarity each, as real ones have them: `make init`, and for some
the stages, in this process.
"""

from pathlib import Path

import in_process
import layouts
import numpy as np
import pandas as pd
import pytest
from competitions import encode

from podium.core import csvs
from podium.core.errors import UserError

N, T = range(24), range(6)
Files = dict[str, bytes]


def table(header: str, rows: list[str]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def image(number: int) -> bytes:
    return encode(np.full((24, 24, 3), 9 * number, np.uint8))


def images(**folders: list[str]) -> Files:
    """PNG files, by folder and id."""
    return {
        f"{folder}/{name}.png": image(number)
        for folder, names in folders.items()
        for number, name in enumerate(names)
    }


def plain(label: str = "xyz") -> Files:
    """24 training images a0, a1, … and 6 test images b0, b1, …, without a sample submission."""
    rows = [f"a{n},{label[n % len(label)]}" for n in N]
    files = images(train=[f"a{n}" for n in N], test=[f"b{n}" for n in T])
    return {**files, "train.csv": table("id,label", rows)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def submission() -> pd.DataFrame:
    return csvs.read(Path("submissions/made.csv"))


def test_a_submission_has_the_ids_where_the_sample_has_them() -> None:
    sample = table("label,id", [f"{'xyz'[n % 3]},b{n}" for n in T])
    output = in_process.run_project({**plain(), "sample_submission.csv": sample})
    assert "the ids are in column id" in output
    written = submission()
    assert written.columns.tolist() == ["label", "id"]
    assert written["id"].tolist() == [f"b{n}" for n in T]
    assert set(written["label"]) <= set("xyz")


@pytest.mark.parametrize("order", [("u", "id", "v"), ("u", "v", "id")])
def test_the_ids_may_be_in_any_column(tmp_path: Path, order: tuple[str, ...]) -> None:
    cells = {"id": "b{}", "u": "0.5", "v": "0.5"}
    rows = [",".join(cells[name] for name in order).format(n) for n in T]
    files = {**plain("uv"), "sample_submission.csv": table(",".join(order), rows)}
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["sample_id_column"] == "id"
    assert found.tables.id_place == order.index("id")
    assert found.tables.sample.columns.tolist() == ["id", "u", "v"]


def test_a_blank_column_is_ignored(tmp_path: Path) -> None:
    rows = [f"a{n},{'' if n else 7},{n % 2}" for n in N]
    files = {**plain(), "train.csv": table("id,x,label", rows), "test.csv": table("id", ["b0"])}
    for few in (8, 24):
        kept = {name: data for name, data in files.items() if "train/" not in name}
        kept |= images(train=[f"a{n}" for n in range(few)])
        found = layouts.inspect(tmp_path, kept)
        assert (found.layout.task, found.prepare["label_column"]) == ("binary", "label")
    tables = {name: data for name, data in files.items() if name.endswith(".csv")}
    with pytest.raises(UserError, match="no image files"):
        layouts.inspect(tmp_path, tables)
    dicoms = {**tables, "train/a0.dcm": b"x"}
    with pytest.raises(UserError, match=r"but 1 \.dcm files\)\. DICOM .* PNG under the same names"):
        layouts.inspect(tmp_path, dicoms)


def test_an_image_much_larger_than_the_others_is_downsized(tmp_path: Path) -> None:
    files = {**plain(), "train/a0.png": encode(np.zeros((900, 1000), np.uint8))}
    found = layouts.inspect(tmp_path, files)
    stats = found.layout.image_stats
    assert stats is not None and (stats.height, stats.largest) == (24, 900)
    in_process.init_project(Path("shapes.zip").read_bytes())
    assert "max_size: 37" in Path("params.yaml").read_text()
