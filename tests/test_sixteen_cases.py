"""The small competitions of ../shared/cases/layouts_min.py end as its README says."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import ROOT
from layouts import Inspection

from podium.core.errors import UserError

SCRIPT = ROOT.parent / "shared" / "cases" / "layouts_min.py"


class Expected(NamedTuple):
    """What `make init` infers."""

    task: str
    classes: list[str]
    prepare: dict[str, Any] = {}  # noqa: RUF012  never changed
    tests: int = 6  # test images
    said: str = ""  # part of a note, a warning or a reason


XYZ = [*"xyz"]
CASES = {
    "two_samples": Expected(
        "multiclass",
        XYZ,
        {"train_csv": None, "sample_submission": "sample_submission_stg1.csv"},
        said="sample_submission_stg2.csv (no images yet for 1 of its 7 ids: test_stg2/c1.png)",
    ),
    "other_name": Expected("multiclass", XYZ, {"test_id_column": "image"}),
    "ds_store": Expected("multiclass", XYZ, said="dropped 1 row of hidden files: .DS_Store"),
    "two_ids": Expected("multiclass", XYZ, {"id_column": "id"}),
    "no_test_images": Expected(
        "multiclass", XYZ, {"hidden_test": True}, 0, "in a code competition"
    ),
    "id_second": Expected("multiclass", XYZ, {"sample_id_column": "id"}),
    "suffix": Expected("multiclass", XYZ, {"images": "{id}_*", "stack": ["red", "green"]}),
    "by_patient": Expected(
        "binary", ["0", "1"], {"submission_id_column": "prediction_id", "unit_column": "patient"}
    ),
    "several_numbers": Expected("regression", ["u", "v"], {"label_column": ["u", "v"]}),
    "case": Expected("multiclass", [*"ABab"], {"label_variants": "keep"}),
    "folders": Expected(
        "binary", ["0", "1"], {"label_map": {"Cover": "0", "JMiPOD": "1", "UERD": "1"}}
    ),
    "confidence": Expected("multiclass", ["9", "20409", "137790"], said="a label and its"),
    "json": Expected("multiclass", ["0", "1", "2"], {"train_csv": "train_metadata.json"}),
    "quotes": Expected("multiclass", XYZ, said="caption"),
    "large": Expected("multiclass", XYZ),
}


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SCRIPT.is_file():
        pytest.skip(f"{SCRIPT} is not at hand")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, SCRIPT, folder], check=True)
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n == "large" else []) for n in CASES]
)
def test_a_case_ends_as_expected(name: str, zips: Path) -> None:
    expected = CASES[name]
    found = Inspection(zips / f"{name}.zip")
    read, layout = found.tables, found.layout
    assert (layout.task, read.classes) == (expected.task, expected.classes)
    assert len(read.test) == expected.tests
    prepare = found.prepare
    assert {key: prepare[key] for key in expected.prepare} == expected.prepare
    reasons = [guess.reason for guess in layout.guesses]
    assert any(expected.said in text for text in [*layout.notes, *read.warnings, *reasons])
    if name == "folders":
        uncertain = {"label_map", "train_images", "task", "positive_class"}
        assert "certain" not in {found.guess(key).confidence for key in uncertain}


def test_a_blank_column_is_no_traceback(zips: Path) -> None:
    """This competition has no images, and the error says so."""
    layout = Inspection(zips / "blank_column.zip").layout
    assert layout.task == "binary" and layout.prepare["label_column"] == "label"
    assert isinstance(layout.error, UserError) and "no image files" in str(layout.error)
    assert {*CASES, "blank_column"} == {path.stem for path in zips.glob("*.zip")}
