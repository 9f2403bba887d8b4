"""Columns that only say which images are related are offered as groups, never as features."""

from pathlib import Path

import layouts
import pandas as pd
import pytest
import test_small_competitions as small
from layouts import Inspection
from test_small_competitions import Files, N, T, images, table
from test_truth import SAMPLE, tables

from podium.competition.archive import Archive
from podium.init import groups
from podium.init.survey import Table

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


NUMBERS = {  # whole numbers whose magnitude matters, most of which differ
    "area": lambda n: 900 + 37 * n * n % 4001,
    "width": lambda n: 640 + 13 * n,
    "year": lambda n: 1900 + n // 2,  # the test set has later ones
}


@pytest.mark.parametrize("name", NUMBERS)
def test_measurements_stay_features(name: str, tmp_path: Path) -> None:
    """Whole numbers, one of them repeated, that are new in the test table."""
    value = NUMBERS[name]
    train = [f"a{n},{'xyz'[n % 3]},{value(max(n, 1))},{40 + n % 2}" for n in N]
    files = tables(
        train=table(f"id,label,{name},size", train),
        test=table(f"id,{name},size", [f"b{n},{value(len(N) + n)},{40 + n % 2}" for n in T]),
        sample_submission=SAMPLE,
    )
    found = layouts.inspect(tmp_path, files)
    assert groups.only_groups(*_train_and_test(found)) == []
    if name != "year":
        assert found.prepare["group_column"] is None
        assert found.prepare["features"] == "auto" and name in found.guess("features").reason


def test_the_areas_of_houses_are_features() -> None:
    path = Path("/work/shared/data/houses.zip")
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    with Archive(path) as archive:
        found = {name: archive.read_csv(f"{name}.csv") for name in ("train", "test")}
    train, test = (Table(f"{name}.csv", rows) for name, rows in found.items())
    assert groups.only_groups(train, test) == []


def test_an_age_that_is_new_in_a_test_set_of_one_image_makes_no_groups(tmp_path: Path) -> None:
    """The public test set of a code competition: hardly any value is in the training table."""
    train = [f"a{n},{'xyz'[n % 3]},{30 + n // 2},s{n // 2}" for n in N]
    files = tables(
        train=table("id,label,age,lesion", train),
        test=table("id,age,lesion", ["b0,77,t0"]),
        sample_submission=SAMPLE,
    )
    guess = layouts.inspect(tmp_path, files).guess("group_column")
    assert guess.value is None


@pytest.mark.parametrize(
    ("patient", "tests", "chosen"),
    [("q0", 1, "patient_id"), ("q0", 6, "patient_id"), ("p1", 6, "session_id")],
)
def test_of_nested_groups_the_coarsest_is_chosen(
    patient: str, tests: int, chosen: str, tmp_path: Path
) -> None:
    """hms-harmful-brain-activity: several recordings per patient, a test set of few images. If
    these are of training patients, recordings are the groups.
    """
    train = [f"a{n},{'xyz'[n % 3]},{100 + n // 2},p{n // 4}" for n in N]
    files = tables(
        train=table("id,label,session_id,patient_id", train),
        test=table("id,session_id,patient_id", [f"b{n},{900 + n},{patient}" for n in range(tests)]),
        sample_submission=table("id,label", [f"b{n},x" for n in range(tests)]),
    )
    guess = layouts.inspect(tmp_path, files).guess("group_column")
    assert guess.value == chosen
    if chosen == "patient_id":
        assert "session_id has smaller groups within these" in guess.reason


def test_the_verb_agrees_with_the_number_of_finer_columns(tmp_path: Path) -> None:
    train = [f"a{n},{'xyz'[n % 3]},{100 + n // 2},s{n // 2},p{n // 4}" for n in N]
    files = tables(
        train=table("id,label,session_id,visit_id,patient_id", train),
        test=table("id,session_id,visit_id,patient_id", [f"b{n},{90 + n},v{n},q" for n in T]),
        sample_submission=table("id,label", [f"b{n},x" for n in T]),
    )
    guess = layouts.inspect(tmp_path, files).guess("group_column")
    assert guess.value == "patient_id"
    assert "; session_id and visit_id have smaller groups within these" in guess.reason


def test_groups_have_several_images(tmp_path: Path) -> None:
    """A row per object: an image's own number recurs in its rows, as in COCO's annotations."""
    rows = [f"a{n}.png,{'xyz'[n % 3]},{n}" for n in N for _ in range(2 + n % 2)]
    files = tables(
        train=table("file,label,id", rows),
        test=table("file,id", [f"b{n}.png,{900 + n}" for n in T]),
        sample_submission=table("file,label", [f"b{n}.png,x" for n in T]),
    )
    guess = layouts.inspect(tmp_path, files).guess("group_column")
    assert (guess.value, guess.alternatives) == (None, ())


def test_codes_within_the_groups_are_no_features(tmp_path: Path) -> None:
    """Each recording is of one patient, and no value of the single test image is known."""
    train = [f"a{n},{'xyz'[n % 3]},{100 + n // 4},p{n // 8},{n % 2}" for n in range(48)]
    header = "id,label,recording_id,patient_id,site_id"
    files = tables(
        train=table(header, train),
        test=table("id,recording_id,patient_id,site_id", ["b0,900,q0,1"]),
        sample_submission=table("id,label", ["b0,x"]),
    )
    files |= images(train=[f"a{n}" for n in range(48)])
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["group_column"] == "patient_id"
    assert "site_id (categorical)" in found.guess("features").reason
    assert "recording_id (" not in found.guess("features").reason


def test_the_column_of_the_groups_may_be_in_both_tables(tmp_path: Path) -> None:
    """One of several values that the test table shares, chosen by the user: it is no feature."""
    train = [f"a{n},{'xyz'[n % 3]},{n % 6},{n % 2}" for n in N]
    files = tables(
        train=table("id,label,lesion_id,side_id", train),
        test=table("id,lesion_id,side_id", [f"b{n},{n % 6},{n % 2}" for n in T]),
        sample_submission=SAMPLE,
    )
    found = layouts.inspect(tmp_path, files, group_column="lesion_id")
    assert "lesion_id" not in found.guess("features").reason
    assert groups.only_groups(*_train_and_test(found), "lesion_id") == []


def _train_and_test(found: Inspection) -> tuple[Table, Table]:
    by_name = {table.name: table for table in found.survey.tables}
    return by_name["train.csv"], by_name["test.csv"]
