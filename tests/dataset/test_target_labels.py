"""Labels of several targets, and folds that are stratified by all of them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import splitting, target_labels
from podium.dataset.rows import LABEL, Location
from podium.scoring.task import Task

TABLE = pd.DataFrame(
    {
        "kind": ["cat", "dog", "Not sure", "cat", ""],
        "age": ["3", "4.5", "1", "", "2"],
        "grade": ["2", "10", "2", "1", ""],
    }
)
TASKS = {"kind": "multiclass", "age": "regression", "grade": "ordinal"}


def read(table: pd.DataFrame, sample: pd.DataFrame | None = None, **changes: Any) -> Any:
    layout = Prepare(**{"label_column": TASKS, "no_label": {"kind": ["not sure"]}, **changes})
    cleared, warnings = target_labels.clear_missing(table.add_prefix(LABEL), layout)
    columns = cleared.rename(columns=lambda name: name.removeprefix(LABEL))
    location = Location("train.csv", [f"a{n}" for n in range(len(table))])
    texts, task, more = target_labels.read(columns, layout, location, sample)
    return texts, task, [*warnings, *more]


def test_each_column_is_read_as_a_task_of_its_own() -> None:
    texts, task, warnings = read(TABLE)
    assert texts == ["cat|3|2", "dog|4.5|10", "|1|2", "cat||1", "|2|"]
    assert [part.task.classes for part in task.parts] == [["cat", "dog"], ["age"], ["1", "2", "10"]]
    assert task.classes == ["kind: cat", "kind: dog", "age", "grade: 1", "grade: 2", "grade: 10"]
    assert "2 of 5 rows have no label of kind" in warnings
    sample = pd.DataFrame({"id": ["x"], "grade": ["1"], "Kind": ["dog"], "age": ["0"]})
    texts, task, _ = read(TABLE, sample)
    assert texts[1] == "10|dog|4.5" and [p.name for p in task.parts] == ["grade", "kind", "age"]


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        (
            "age",
            ["3", "x", "1", "", "2"],
            r"1 of 4 .* cannot be read as a finite.*a1 \(row 3: 'x'",
        ),
        (
            "grade",
            ["1.5", "", "2", "1", "2"],
            r"of grade cannot be read as a whole.*a0 \(row 2: '1.5'",
        ),
        ("kind", ["c|d", "dog", "", "cat", ""], r"1 label of kind with '\|'"),
        ("kind", ["cat", "dog", "", "Cat", ""], r"spellings that differ.*'Cat'"),
        ("kind", [""] * 5, "no row has a label of kind"),
    ],
)
def test_a_wrong_label_is_named_with_its_row(column: str, cells: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(TABLE.assign(**{column: cells}))


def test_an_image_without_any_label_is_an_error() -> None:
    empty = TABLE.assign(age=["3", "4.5", "1", "", ""])
    with pytest.raises(UserError, match=r"1 row has no label of any target: a4 \(row 6\)"):
        read(empty)


def test_a_value_that_the_column_does_not_have_is_a_warning() -> None:
    *_, warnings = read(TABLE, no_label={"kind": ["Not sure", "skip"]})
    assert "prepare.no_label: kind does not contain skip" in warnings


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_are_stratified_by_every_target(grouped: bool) -> None:
    rng = np.random.default_rng(0)
    count = 400
    kinds = rng.choice(["x", "y", "z", ""], count, p=[0.6, 0.25, 0.1, 0.05])
    flags = rng.choice(["0", "1"], count, p=[0.85, 0.15])
    sizes = rng.lognormal(size=count)
    train = pd.DataFrame(
        {
            "id": [f"i{n:03d}" for n in range(count)],
            "label": [f"{k}|{f}|{s:.4f}" for k, f, s in zip(kinds, flags, sizes, strict=True)],
        }
    )
    if grouped:
        train["group"] = [str(n // 3) for n in range(count)]
    task = Task.join(
        {
            "kind": Task("multiclass", ["x", "y", "z"]),
            "flag": Task("binary", ["0", "1"]),
            "size": Task("regression", ["size"]),
        }
    )
    folds = splitting.make_folds(train, task, count=5, seed=1)
    parts = folds["label"].str.split("|", expand=True)
    for column in (0, 1):
        counts = pd.crosstab(folds["fold"], parts[column]).drop(columns="", errors="ignore")
        allowed = (4 if grouped else 1) + 0.1 * counts.mean()
        assert (np.ptp(counts, axis=0) <= allowed).all(), counts
    medians = parts[2].astype(float).groupby(folds["fold"]).median()
    assert np.ptp(medians) < 0.4
    if grouped:
        assert (folds.assign(group=train["group"]).groupby("group")["fold"].nunique() == 1).all()
    shuffled = splitting.make_folds(train.sample(frac=1, random_state=1), task, count=5, seed=1)
    pd.testing.assert_frame_equal(shuffled, folds)
