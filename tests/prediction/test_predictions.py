from pathlib import Path

import numpy as np
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


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    predictions.write(tmp_path / "p.parquet", part("007", "b"))
    found = predictions.read(tmp_path / "p.parquet", PredictionProvenance)
    assert found.ids == ["007", "b"] and found.provenance == PROVENANCE
    assert np.array_equal(found.logits, part("007", "b").logits)
    assert found.logits.dtype == np.float32


def test_rows_are_found_by_id_never_by_position() -> None:
    logits = predictions.align([part("b", "a").table, part("c").table], ["a", "b", "c"], source="x")
    assert logits[:, 0].tolist() == [97, 98, 99]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([part("a")], "2 images have no prediction: b, c"),
        ([part("a", "b"), part("b", "c")], "1 images are predicted more than once"),
        ([part("a", "b", "c", "d")], "1 predictions are of unknown images: d"),
    ],
)
def test_every_id_must_be_covered_exactly_once(
    parts: list[Predictions[PredictionProvenance]], message: str
) -> None:
    with pytest.raises(UserError, match=f"some/path: {message}"):
        predictions.align([part.table for part in parts], ["a", "b", "c"], source="some/path")


def test_a_value_that_is_no_number_is_an_error() -> None:
    bad = Predictions(["a"], np.array([[np.nan, 1]], np.float32), PROVENANCE)
    with pytest.raises(UserError, match="logits of 1 images are not finite"):
        predictions.align([bad.table], ["a"], source="x")


def test_a_damaged_or_foreign_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="cannot be read"):
        predictions.read(path, PredictionProvenance)
    import pandas as pd

    pd.DataFrame({"id": ["a"]}).to_parquet(path)
    with pytest.raises(UserError, match="was not written by this pipeline"):
        predictions.read(path, PredictionProvenance)
