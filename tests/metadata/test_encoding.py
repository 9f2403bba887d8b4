"""Rows of metadata as vectors."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import provenances
import pytest
from scipy import stats

from podium.core.errors import UserError
from podium.metadata import encoding, table
from podium.metadata.encoding import Encoding

NAN = float("nan")
TABLE = pd.DataFrame(
    {
        "area": [100.0, 900.0, 2500.0, 40000.0, 400.0, 1600.0],
        "rooms": [1.0, 2.0, NAN, 4.0, 2.0, 3.0],
        "zip": ["a", "b", "a", None, "b", "rare"],
    },
    index=[f"i{n}" for n in range(6)],
)
IDS = TABLE.index.tolist()


@pytest.mark.parametrize("power", [-2.5, 0, 0.3, 1, 2, 3.1])
def test_powers_are_those_of_scipy(power: float) -> None:
    values = np.array([-30.0, -1, -0.2, 0, 0.5, 1, 12, 1e4])
    expected = stats.yeojohnson(values, power)
    assert np.allclose(encoding.yeo_johnson(values, power), expected, rtol=1e-12)


def test_numbers_are_standardized_and_categories_are_one_hot() -> None:
    fitted = Encoding.fit(TABLE)
    encoded = fitted.encode(TABLE, IDS)
    assert encoded.dtype == np.float32 and encoded.shape == (6, fitted.size) == (6, 5)
    area, rooms, missing, a, b = encoded.T
    assert np.allclose([area.mean(), area.std()], [0, 1], atol=1e-6)
    assert (np.argsort(area) == np.argsort(TABLE["area"])).all()
    assert abs(stats.skew(area)) < 0.2 < stats.skew(TABLE["area"])
    assert np.isclose(rooms[2], 0) and missing.tolist() == [0, 0, 1, 0, 0, 0]
    assert a.tolist() == [1, 0, 1, 0, 0, 0] and b.tolist() == [0, 1, 0, 0, 1, 0]


def test_only_training_rows_determine_the_encoding() -> None:
    fitted = Encoding.fit(TABLE[:5])
    others = TABLE.assign(area=TABLE["area"] * 1e15, zip="c", rooms=NAN)
    mixed = pd.concat([TABLE[:5], others.rename(index=lambda name: f"{name} test")])
    same = fitted.encode(mixed, IDS[:5])
    assert (same == fitted.encode(TABLE, IDS[:5])).all()
    unseen = fitted.encode(mixed, ["i3 test"])[0]
    assert unseen[0] > 2 and unseen[1:].tolist() == [0, 1, 0, 0]


def test_numbers_far_from_the_training_rows_are_clipped() -> None:
    column = pd.DataFrame({"x": [*np.arange(10.0), 1e6, -1e6]}, index=range(12))
    encoded = Encoding.fit(column[:10]).encode(column, [10, 11])  # type: ignore[list-item]
    assert encoded.ravel().tolist() == [encoding.LIMIT, -encoding.LIMIT]


def test_the_order_of_the_ids_is_that_of_the_rows() -> None:
    fitted = Encoding.fit(TABLE)
    encoded = fitted.encode(TABLE, IDS)
    assert (fitted.encode(TABLE[::-1], ["i4", "i0", "i4"]) == encoded[[4, 0, 4]]).all()


@pytest.mark.parametrize("values", [[NAN] * 4, [5.0] * 4, [0.0, 1, 0, 1], [1e30, -1e30, 0, 1e-30]])
def test_unusual_numbers_stay_finite(values: list[float]) -> None:
    column = pd.DataFrame({"x": values}, index=IDS[:4])
    encoded = Encoding.fit(column).encode(column, IDS[:4])
    assert np.isfinite(encoded).all() and abs(encoded).max() <= encoding.LIMIT


def test_the_most_frequent_categories_have_dimensions() -> None:
    texts = [f"c{n}" for n in range(200) for _ in range(2 + (n >= 150))]
    column = pd.DataFrame({"x": texts}, index=range(len(texts)))
    values = Encoding.fit(column).columns[0].values  # type: ignore[union-attr]
    assert len(values) == encoding.MAX_CATEGORIES
    frequent, rare = ([f"c{n}" for n in numbers] for numbers in (range(150, 200), range(150)))
    assert values == sorted(frequent + sorted(rare)[:50])


def test_categories_that_differ_in_a_zero_byte_are_different() -> None:
    column = pd.DataFrame({"x": ["a\0", "a", "a\0", "a", "b"]}, index=IDS[:5])
    fitted = Encoding.fit(column)
    assert fitted.columns[0].values == ["a", "a\0"]  # type: ignore[union-attr]
    assert fitted.encode(column, IDS[:5]).tolist() == [[0, 1], [1, 0], [0, 1], [1, 0], [0, 0]]


def test_a_long_text_takes_no_memory_per_row() -> None:
    column = pd.DataFrame({"x": ["b" * 50_000] + ["c"] * 2000})
    tracemalloc.start()
    fitted = Encoding.fit(column)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fitted.columns[0].values == ["c"]  # type: ignore[union-attr]
    assert peak < 20e6  # 400 MB if each had the longest one's width


def test_an_encoding_survives_json() -> None:
    fitted = Encoding.fit(TABLE)
    training = provenances.training(metadata=fitted.to_json())
    again = Encoding.of(training)
    assert again == fitted
    assert Encoding.of(provenances.training()) is None


def test_a_missing_image_or_column_is_an_error() -> None:
    fitted = Encoding.fit(TABLE)
    with pytest.raises(UserError, match="1 image has no metadata: other"):
        fitted.encode(TABLE, ["i0", "other"])
    with pytest.raises(UserError, match="no column area"):
        fitted.encode(TABLE.drop(columns="area"), ["i0"])


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table.write(path, TABLE)
    first = path.read_bytes()
    again = table.read(path)
    assert again.index.tolist() == IDS and [*again] == [*TABLE]
    assert [table.is_numeric(again[name]) for name in again] == [True, True, False]
    fitted = Encoding.fit(TABLE)
    assert fitted == Encoding.fit(again)
    assert (fitted.encode(again, IDS) == fitted.encode(TABLE, IDS)).all()
    table.write(path, again)
    assert path.read_bytes() == first

    table.write(path, pd.DataFrame(index=pd.Index(IDS)))
    assert table.read(path).shape == (6, 0)
    path.write_bytes(first[:-20] + first[-19:])
    with pytest.raises(UserError, match=r"t\.parquet"):
        table.read(path)
