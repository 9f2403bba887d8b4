"""Guess which columns could be inputs next to the images, and which nearly determine the label."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from podium.competition.text.names import is_number, nfc
from podium.config.prepare import Prepare
from podium.core.errors import examples, listed
from podium.dataset import column_kinds
from podium.init import groups
from podium.init.guesses import Guess, some_of
from podium.init.recorder import Recorder
from podium.init.survey import Table

SURE = 0.95  # share of neighboring rows, sorted by a column, with the same label
USUAL = 0.8  # the same for rows in random order; above it, nothing can be concluded


def read(record: Recorder, train: Table, test: Table | None) -> None:
    """Propose columns of both tables that have no other use; note those that are unused or nearly
    determine the label.
    """
    prepare, labels = Prepare(**record.prepare), record.prepare["label_column"]
    if isinstance(labels, str) and labels not in train.columns:
        return  # one row per label: no columns per image
    used = {prepare.id_column, prepare.test_id_column, prepare.submission_id_column}
    used |= {prepare.group_column, *prepare.label_columns, *prepare.unit_columns}
    names = {name for name in used if name is not None}
    taken: list[str] = []
    if test is not None and prepare.test_csv is not None:
        guess = guess_features(train, test, names, prepare.group_column)
        value: Any = record.take(guess) if guess is not None else "none"
        if value != "none":
            taken = _usable(train, test, names) if value == "auto" else value
    if isinstance(labels, str) and (found := revealing(train.rows[taken], train.rows[labels])):
        what, it = f"{found[0]} alone nearly determines {labels}", "it is"
        if len(found) > 1:
            what, it = f"{listed(found)} each nearly determine {labels} alone", "they are"
        record.note(f"{train.name}: {what}. Check that {it} available before the label is known")
    if unused := [name for name in train.columns if name not in {*names, *taken}]:
        record.note(f"{train.name}: columns not used: {examples(unused)}")


def guess_features(
    train: Table, test: Table, used: Iterable[str], group: str | None
) -> Guess | None:
    """Columns of both tables except those in `used`; None if there are none. `group` is the column
    of the groups.
    """
    usable, related = _usable(train, test, used), groups.only_groups(train, test, group)
    kinds = {n: column_kinds.kind_of(train.cells(n)) for n in usable if n not in related}
    if not usable:
        return None
    shown = examples([f"{name} ({kind})" for name, kind in kinds.items()], 6)
    one_or_more = some_of(_shared(train, test, used), what="column of both tables")

    def parse(answer: str) -> Any:
        if answer in ("auto", "none"):
            return answer
        names = one_or_more(answer)
        return names if isinstance(names, list) else [names]

    reasons = [f"both tables have {shown}"] * bool(kinds)
    value: Any = "auto"
    if left_out := [name for name in usable if name in related]:
        value = [*kinds] or "none"
        verb = "looks like a group id" if len(left_out) == 1 else "each look like a group id"
        reasons.append(f"{listed(left_out)} {verb}, not a feature")
    others = ("auto",) if value == "none" else ("none",)
    return Guess("prepare.features", value, "likely", "; ".join(reasons), others, parse)


def _shared(train: Table, test: Table, used: Iterable[str]) -> list[str]:
    known, of_test = {nfc(name) for name in used}, {nfc(name) for name in test.columns}
    return [name for name in train.columns if nfc(name) in of_test - known]


def _usable(train: Table, test: Table, used: Iterable[str]) -> list[str]:
    """The columns of both tables that the stage prepare takes with `auto`."""
    shared = _shared(train, test, used)
    return [name for name in shared if not column_kinds.why_not(train.cells(name))]


def revealing(columns: pd.DataFrame, labels: pd.Series) -> list[str]:
    """The columns (text) of which each alone nearly determines the labels."""
    order = np.random.default_rng(0).permutation(len(labels))  # rows may be sorted by label
    texts = labels.to_numpy()[order]
    if (texts[1:] == texts[:-1]).mean() > USUAL:
        return []
    return [
        str(name)
        for name in columns
        if _agreement(columns[name].iloc[order].reset_index(drop=True), texts) >= SURE
    ]


def _agreement(column: pd.Series, labels: np.ndarray) -> float:
    """The share of neighboring rows, sorted by the column, that have the same label, not counting
    one change from each label to the next.
    """
    values = pd.to_numeric(column) if column.map(is_number).all() else column
    by_value = labels[values.sort_values(kind="stable").index]
    same = (by_value[1:] == by_value[:-1]).sum() + len(np.unique(labels)) - 1
    return float(same / max(1, len(labels) - 1))
