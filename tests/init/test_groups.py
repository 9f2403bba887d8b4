"""Columns that only say which images are related are offered as groups, never as features."""

from pathlib import Path

import layouts
import pandas as pd
import pytest
import test_small_competitions as small
from layouts import Inspection
from test_small_competitions import Files, N, T, table
from test_truth import SAMPLE, tables

from podium.init import groups

folder = small.folder


def traps(
    places: int, first_test: int, *, series: str = "seq_id", place: str = "location"
) -> Files:
    """Photos of camera traps in series of two, as in iwildcam-2019: `place` is the number of the
    camera, of which the test set has those from `first_test` on.
    """
    train = [f"a{n},{'xyz'[n % 3]},{n % places},s-{n // 2},{640 + n % 2}" for n in N]
    test = [f"b{n},{first_test + n % 2},t-{n // 2},{640 + n % 2}" for n in T]
    return tables(
        train=table(f"id,label,{place},{series},width", train),
        test=table(f"id,{place},{series},width", test),
        sample_submission=SAMPLE,
    )


def offered(found: Inspection) -> set[str | None]:
    guess = found.guess("group_column")
    return {guess.value, *guess.alternatives}


@pytest.mark.parametrize("series", ["seq_id", "burst", "sequence", "capture_group"])
@pytest.mark.parametrize(
    ("places", "first_test", "chosen"),
    [
        (6, 90, "location"),  # the test set has other places
        (6, 0, None),  # the same places, but other series
        (3, 90, None),  # fewer places than folds
    ],
)
def test_places_and_series_are_groups_but_not_features(
    series: str, places: int, first_test: int, chosen: str | None, tmp_path: Path
) -> None:
    found = layouts.inspect(tmp_path, traps(places, first_test, series=series))
    assert found.prepare["group_column"] == (chosen or series)
    assert {"location", series, None} <= offered(found)
    assert found.prepare["features"] == ["width"]
    assert "group id, not a feature" in found.guess("features").reason
    assert found.tables.train["id"].size == len(N)


def test_no_feature_is_left(tmp_path: Path) -> None:
    files = traps(6, 0)
    files = {name: data.replace(b",width", b",") for name, data in files.items()}
    files["train.csv"] = table("id,label,camera", [f"a{n},{'xyz'[n % 3]},{n % 6}" for n in N])
    files["test.csv"] = table("id,camera", [f"b{n},{n}" for n in T])
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["features"], found.guess("features").alternatives) == ("none", ("auto",))
    chosen = layouts.inspect(tmp_path, files, features="camera")
    assert chosen.prepare["features"] == ["camera"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("location", ["arm", "leg", "trunk"]),  # a place on the body
        ("site_id", ["1", "2"]),  # of two hospitals
        ("scene", ["indoor", "outdoor"]),
        ("age", [str(20 + 3 * n) for n in range(19)]),
    ],
)
def test_what_describes_an_image_stays_a_feature(
    name: str, values: list[str], tmp_path: Path
) -> None:
    files = tables(
        train=table(
            f"id,label,{name}", [f"a{n},{'xyz'[n % 3]},{values[5 * n % len(values)]}" for n in N]
        ),
        test=table(f"id,{name}", [f"b{n},{values[7 * n % len(values)]}" for n in T]),
        sample_submission=SAMPLE,
    )
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["features"] == "auto" and name in found.guess("features").reason


@pytest.mark.parametrize(("kept", "is_new"), [(0, True), (1_200, True), (2_900, False)])
def test_large_tables_are_compared_in_an_instant(kept: int, is_new: bool) -> None:
    """3,000 values of the test table, of which the training table has some."""
    train = pd.Series([str(n) for n in range(4_000) for _ in range(2)] + ["once"])
    tests = pd.Series([f"{n}" if n < kept else f"new {n}" for n in range(3_000)])
    assert groups._is_new(train, tests) == is_new
