from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import provenances
import pytest

from podium.core.errors import UserError
from podium.core.provenance import PredictionProvenance
from podium.prediction import predictions
from podium.prediction.predictions import Predictions

PROVENANCE = provenances.prediction(provenances.training(classes=["id", "b"]))


def part(*ids: str) -> Predictions[PredictionProvenance]:
    logits = np.array([[float(ord(image[0])), 0.5] for image in ids], np.float32)
    return Predictions(list(ids), logits, PROVENANCE)


@pytest.mark.parametrize("labels", [None, ["b", "id"]])
def test_a_table_is_read_as_it_was_written(tmp_path: Path, labels: list[str] | None) -> None:
    written = replace(part("007", "b"), labels=labels)
    predictions.write(tmp_path / "p.parquet", written)
    read = predictions.read(tmp_path / "p.parquet", PredictionProvenance)
    assert read.ids == ["007", "b"] and read.provenance == PROVENANCE and read.labels == labels
    assert np.array_equal(read.logits, written.logits)
    assert read.logits.dtype == np.float32


def test_rows_are_aligned_by_id_not_by_position() -> None:
    logits = predictions.align([part("b", "a").table, part("c").table], ["a", "b", "c"], source="x")
    assert logits[:, 0].tolist() == [97, 98, 99]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([part("a")], "2 images .*b, c"),
        ([part("a", "b"), part("b", "c")], "1 image is .* more than once"),
        ([part("a", "b", "c", "d")], "1 unknown image has predictions .*d"),
    ],
)
def test_every_id_must_be_covered_exactly_once(
    parts: list[Predictions[PredictionProvenance]], message: str
) -> None:
    with pytest.raises(UserError, match=f"some/path: {message}"):
        predictions.align([part.table for part in parts], ["a", "b", "c"], source="some/path")


def test_a_non_finite_logit_is_an_error() -> None:
    invalid = Predictions(["a"], np.array([[np.nan, 1]], np.float32), PROVENANCE)
    with pytest.raises(UserError, match=r"1 image has .*NaN"):
        predictions.align([invalid.table], ["a"], source="x")


def test_a_damaged_file_or_one_of_other_origin_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="cannot be read"):
        predictions.read(path, PredictionProvenance)
    pd.DataFrame({"id": ["a"]}).to_parquet(path)
    with pytest.raises(UserError, match="was not written by Podium"):
        predictions.read(path, PredictionProvenance)
