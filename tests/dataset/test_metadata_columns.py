"""Columns of the tables as further inputs: which are usable, and their types."""

import io
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import metadata_columns, tables
from podium.dataset.column_kinds import kind_of, why_not
from podium.dataset.metadata_columns import Metadata
from podium.metadata.table import is_numeric

TRAIN, TEST = 36, 9


def columns(count: int, seed: int) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    return {
        "age": [str(rng.integers(20, 80)) if n % 5 else "" for n in range(count)],
        "site": [["head", "torso", "NA"][n % 3] for n in range(count)],
        "zip": [["92276", "91752", "81524"][n % 3] for n in range(count)],
        "note": [f"free text {n}" for n in range(count)],
        "same": ["1"] * count,
    }


def read(
    folder: Path, files: dict[str, bytes] | None = None, **layout: Any
) -> tuple[Metadata, tables.Tables]:
    path = competitions.write_zip(folder / "c.zip", files or competition())
    options = Prepare.model_validate({"features": "auto"} | layout)
    with Archive(path) as archive:
        found = tables.read(archive, options, "multiclass")
        return metadata_columns.read(archive, options, found), found


def competition(change_test: Any = None) -> dict[str, bytes]:
    files = competitions.competition(TRAIN, TEST)
    train, test = competitions.tables(TRAIN, TEST)
    train = train.assign(**columns(TRAIN, 0), only_train="x")
    test = test[["id"]].assign(**columns(TEST, 1))
    if change_test is not None:
        test = change_test(test)
    return {**files, "train.csv": competitions.csv(train), "test.csv": competitions.csv(test)}


def test_auto_takes_the_usable_columns_of_both_tables(tmp_path: Path) -> None:
    found, read_tables = read(tmp_path)
    assert [*found.train] == [*found.test] == ["age", "site", "zip"]
    assert [is_numeric(found.train[name]) for name in found.train] == [True, False, False]
    assert found.train.index.tolist() == read_tables.train["id"].tolist()
    assert found.test.index.tolist() == read_tables.test["id"].tolist()
    assert found.train["age"].isna().tolist() == [n % 5 == 0 for n in range(TRAIN)]
    assert found.train["site"].tolist()[:2] == ["head", "torso"] and pd.isna(
        found.train["site"].iloc[2]
    )
    (line,) = found.lines
    assert "age (numeric), site (categorical), zip (categorical)" in line
    assert "note (text with 36 different values), same (constant)" in line
    assert not found.warnings


def test_of_many_columns_the_first_and_a_count_are_printed(tmp_path: Path) -> None:
    def wide(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            **{f"m{k}": (np.arange(len(table)) * k % 53 / 10) for k in range(1, 50)}
        )

    train, test = competitions.tables(TRAIN, TEST)
    files = competitions.competition(TRAIN, TEST)
    files |= {"train.csv": competitions.csv(wide(train)), "test.csv": competitions.csv(wide(test))}
    (line,) = read(tmp_path, files)[0].lines
    assert len(line) < 200 and "m1 (numeric), m2 (numeric)" in line and " more" in line


def test_listed_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    found, _ = read(tmp_path, features=[{"zip": "numeric"}, "note", "same"])
    assert found.train["zip"].tolist()[:3] == [92276, 91752, 81524] and not found.warnings
    assert found.train["note"].iloc[4] == "free text 4"


def test_none_gives_tables_without_columns(tmp_path: Path) -> None:
    found, _ = read(tmp_path, features="none")
    assert found.train.shape == (TRAIN, 0) and found.test.shape == (TEST, 0)


def test_rows_are_matched_by_id(tmp_path: Path) -> None:
    expected, _ = read(tmp_path)
    shuffled, _ = read(tmp_path, competition(lambda test: test.sample(frac=1, random_state=0)))
    pd.testing.assert_frame_equal(expected.test.sort_index(), shuffled.test.sort_index())


def test_a_missing_column_or_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test\.csv has no column only_train.*prepare\.features"):
        read(tmp_path, features=["only_train"])
    with pytest.raises(UserError, match="no usable columns in common"):
        read(tmp_path, competition(lambda test: test[["id", "note", "same"]]))
    with pytest.raises(ValueError, match="features requires train_csv and test_csv"):
        Prepare(features="auto", test_csv=None)
    with pytest.raises(ValueError, match="features contains label, which another key uses"):
        Prepare(features=["label"])


def test_test_cells_that_are_not_numbers_are_missing_and_named(tmp_path: Path) -> None:
    found, _ = read(tmp_path, competition(lambda test: test.assign(age=["old", *["30"] * 8])))
    assert np.isnan(found.test["age"].iloc[0]) and found.test["age"].iloc[1] == 30
    assert any("1 cell of age in test.csv without a number" in text for text in found.warnings)


def test_the_images_of_an_id_share_its_columns(tmp_path: Path) -> None:
    files = {}
    for name, data in competition().items():
        stem, dot, extension = name.rpartition(".")
        if extension == "png":
            files |= {f"{stem}_{view}{dot}{extension}": data for view in ("a", "b")}
        else:
            files[name] = data
    found, read_tables = read(tmp_path, files, images="{id}_*")
    assert len(found.train) == 2 * TRAIN == len(read_tables.train)
    pairs = found.train["zip"].to_numpy().reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert found.test.index.tolist() == read_tables.test["id"].tolist()


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2.5", "", "-3e2", "NaN"], "numeric"),
        (["1,5", "2,25", "3"], "decimal_comma"),
        (["1.234,5", "980,5", "1.234", "NA"], "decimal_comma"),
        (["$1,250", "$990.50", ""], "numeric"),
        (["12 %", "13.5 %"], "numeric"),
        (["1,5", "1.5"], "categorical"),
        (["12%", "13"], "categorical"),
        (["1,2", "2,3", "3,1"], "categorical"),
        (["2019-01-02", "2020-11-30 10:00:00"], "numeric"),
        (["yes", "no"], "categorical"),
        (["1", "2", "many"], "categorical"),
        (["007", "113"] * 8, "categorical"),
        (["1999", "2004"] * 8, "numeric"),
        (["101", "102", "103"], "numeric"),
    ],
)
def test_what_values_are(texts: list[str], kind: str) -> None:
    assert kind_of(pd.Series(texts)) == kind


def test_decimal_commas_and_dates_become_numbers(tmp_path: Path) -> None:
    changed = {"age": ["1,5", "2"] * (TRAIN // 2), "note": ["2020-01-02", "1970-01-02"] * 18}
    train, _ = competitions.tables(TRAIN, TEST)
    files = competition(lambda test: test.assign(age="0,25", note="1970-01-11"))
    files["train.csv"] = competitions.csv(train.assign(**changed))
    found, _ = read(tmp_path, files, features=["age", "note"])
    assert found.train["age"].tolist()[:2] == [1.5, 2] and found.test["age"].iloc[0] == 0.25
    assert found.train["note"].tolist()[1] == 1 and found.test["note"].iloc[0] == 10


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2", "3", "5"],
        ["10", "13", "11", "12"],
        ["7", "90", "400"],
        [str(n * 37 % 151) for n in range(1, 101)],
    ],
)
def test_numbers_of_rows_are_not_usable(texts: list[str]) -> None:
    assert why_not(pd.Series(texts)) == "numbers the rows"


@pytest.mark.parametrize(
    "texts", [["3", "1", "900"], ["1", "2", "2"], ["1.5", "2.5", "3.5"], ["31", "28", "35", "33"]]
)
def test_other_numbers_are(texts: list[str]) -> None:
    assert why_not(pd.Series(texts)) is None


def test_a_cell_of_another_kind_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    train, _ = competitions.tables(TRAIN, TEST)
    columns = {"day": ["2020-01-01", "2020-01-03"] * (TRAIN // 2), "age": ["1,5", "2"] * 18}
    test = {"day": ["1970-01-02", "unknown", *["1970-01-03"] * 7], "age": ["0,5", "x", *["1"] * 7]}
    files = competition(lambda table: table.assign(**test))
    files["train.csv"] = competitions.csv(train.assign(**columns))
    found, _ = read(tmp_path, files, features=["day", "age"])
    assert found.test["day"].tolist()[::2][:2] == [1, 2] and np.isnan(found.test["day"].iloc[1])
    assert found.test["age"].tolist()[::2][:2] == [0.5, 1] and np.isnan(found.test["age"].iloc[1])


@pytest.mark.parametrize(
    ("kind", "expected"), [("numeric", [1234, 999]), ("decimal_comma", [1.234, 999])]
)
def test_commas_that_may_be_decimal_or_separate_thousands_are_for_you_to_decide(
    tmp_path: Path, kind: str, expected: list[float]
) -> None:
    cells = ["1,234", "999", "12,500"]
    assert kind_of(pd.Series(cells)) == "categorical"
    train, _ = competitions.tables(TRAIN, TEST)
    files = competition(lambda table: table.assign(note=cells * 3))
    files["train.csv"] = competitions.csv(train.assign(**columns(TRAIN, 0) | {"note": cells * 12}))
    found, _ = read(tmp_path, files)
    assert "note" not in found.train
    assert "note (commas may be decimal or separate thousands: set numeric" in found.lines[0]
    assert "skipped note: commas may be decimal" in found.warnings[0]
    found, _ = read(tmp_path, files, features=[{"note": kind}])
    assert found.train["note"].tolist()[:2] == found.test["note"].tolist()[:2] == expected


def test_numbers_as_categories_may_be_written_as_fractions(tmp_path: Path) -> None:
    train, _ = competitions.tables(TRAIN, TEST)
    files = competition(lambda table: table.assign(zip=["101.0", "102.0", "103.0"] * 3))
    files["train.csv"] = competitions.csv(train.assign(zip=["101", "102", "007"] * 12))
    found, _ = read(tmp_path, files, features=[{"zip": "categorical"}])
    assert found.test["zip"].tolist()[:2] == ["101", "102"] and not found.warnings
    assert found.train["zip"].tolist()[:3] == ["101", "102", "007"]


def test_categories_that_no_training_image_has_are_named(tmp_path: Path) -> None:
    found, _ = read(tmp_path, competition(lambda table: table.assign(site=["a"] * TEST)))
    assert any("100% of the values of site in test.csv" in text for text in found.warnings)


def test_rows_of_labels_are_matched_by_the_images_id(tmp_path: Path) -> None:
    files = competition()
    train, test = (pd.read_csv(io.BytesIO(files[f"{p}.csv"]), dtype=str) for p in ("train", "test"))
    targets = [f"_{name}" for name in competitions.CLASSES]
    long = train.loc[train.index.repeat(3)].reset_index(drop=True)
    is_label = [row.label == targets[n % 3][1:] for n, row in enumerate(long.itertuples())]
    long = long.assign(id=long["id"] + np.tile(targets, TRAIN), label=np.array(is_label) * 1)
    sample = pd.DataFrame({"id": [i + t for i in test["id"] for t in targets], "label": "0.5"})
    files |= {
        "train.csv": competitions.csv(long),
        "sample_submission.csv": competitions.csv(sample),
    }
    layout = {"id_label_separator": "_", "features": ["age", "site"]}
    path = competitions.write_zip(tmp_path / "c.zip", files)
    options = Prepare.model_validate(layout)
    with Archive(path) as archive:
        found = metadata_columns.read(archive, options, tables.read(archive, options, "multilabel"))
    assert found.train["age"].dropna().tolist() == train["age"].dropna().astype(float).tolist()


def test_columns_without_information_are_not_usable() -> None:
    assert why_not(pd.Series(["", "nan"])) == "empty"
    assert why_not(pd.Series(["3", "3", ""])) == "constant"
    assert why_not(pd.Series([f"p{n}" for n in range(10)])) == "text with 10 different values"
    assert why_not(pd.Series([*"aabbcc"])) is None


@pytest.mark.parametrize(
    ("name", "cells", "kind", "reason"),
    [
        ("center_id", ["1", "2", "12"], "categorical", None),
        ("machineId", ["1", "2.0", "12"], "categorical", None),
        ("count", ["1", "2", "12"], "numeric", None),
        ("series_id", [str(n // 2) for n in range(40)], "categorical", "codes with 20 different"),
        ("image_num", ["0", "1", "2"], "numeric", "numbers the images"),
        ("InstanceNumber", ["1", "2", "3"], "numeric", "numbers the images"),
        ("num_images", ["1", "2", "5"], "numeric", None),
    ],
)
def test_codes_are_categories_and_running_numbers_no_features(
    name: str, cells: list[str], kind: str, reason: str | None
) -> None:
    texts = pd.Series([cells[n % len(cells)] for n in range(40)], name=name)
    assert kind_of(texts) == kind
    found = why_not(texts)
    assert found is None if reason is None else str(found).startswith(reason)
