"""Guess which column contains groups of related images, and which columns only tell these apart."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from podium.competition.text.names import NUMBER, canonical
from podium.core.errors import listed
from podium.dataset import spelling
from podium.init.guesses import Confidence, Guess, one_of
from podium.init.survey import Table

MIN_GROUPS = 5  # the default number of folds
MAX_CHANCE = 0.01  # share of random splits with as many new values
SPLITS = 200
MIN_ROWS_PER_NUMBER = 2  # on average, of groups that are numbers and not named as codes
MIN_NEW = 0.5  # of the test table's values, to be of no use as a feature
GROUP_NAME = re.compile(  # "PatientID" and "the_patient", not "age_group"
    r"(?i)(.*[_ ])?(patient|subject|individual|scene)([_ ]?(id|number|name|code))?"
    r"|(group|session)([_ ]?(id|number|name|code))?"
)
PLACE_NAME = re.compile(
    r"(?i)(location|place|camera|station|site|trap|plot|transect|deployment|trip|burst|video|clip"
    r"|sequence|seq)s?([_ ]?(id|number|name|code))?"
)
FOREIGN_ID_NAME = re.compile(r".*([_ ][iI][dD]|[a-z]I[dD])")
CODE_NAME = re.compile(r".*[_ ](?i:id|number|num|no|nr|name|code|index)|.*[a-z](I[dD]|Number|Code)")


def guess_groups(
    table: Table, ids: str | None, used: Collection[str | None], test: Table | None = None
) -> Guess:
    """Guess the column whose groups of several images must stay in one fold, except those in
    `used`. `ids` are those of the images, if they may have several rows each. If the tables have no
    values of a column in common, such as locations, the test set was split by it. Of nested groups
    that are named so, the coarsest is guessed: a patient's images may be alike in all sessions.
    """
    if ids is not None:
        table = replace(table, rows=table.rows.drop_duplicates(ids))
    candidates = [column for column in table.columns if column not in used]
    repeated = [column for column in candidates if _repeats(table.rows[column])]
    by_name = [column for column in repeated if GROUP_NAME.fullmatch(column)]
    named = [column for column in by_name if table.rows[column].nunique() >= MIN_GROUPS]
    apart = [c for c in repeated if test is not None and _is_apart(table.rows[c], test, c)]
    apart.sort(key=lambda column: table.rows[column].nunique())  # the coarsest first
    codes = [column for column in apart if _may_be_codes(table.rows[column])]
    apart = [*codes, *(column for column in apart if column not in codes)]
    chosen = [
        column
        for column in dict.fromkeys((*apart, *named))
        if table.rows[column].nunique() >= MIN_GROUPS
    ]
    possible = [c for c in repeated if FOREIGN_ID_NAME.fullmatch(c) or _is_place(table.rows[c])]
    possible = [*dict.fromkeys((*apart, *by_name, *possible))]
    confidence: Confidence = "likely"
    value: str | None = None
    if chosen:
        value = _coarsest(chosen, table, test)
        count = spelling.unify_groups(table.rows[value]).nunique()
        reason = f"{count} groups, each kept within one fold"
        if value in apart and test is not None:
            reason += f": {test.name} has none of these values"
        if finer := [
            c
            for c in dict.fromkeys((*chosen, *possible))
            if c != value and _is_within(table.rows, c, value)
        ]:
            reason += f"; {listed(finer, verb='has')} smaller groups within these"
    elif possible:
        which = "it if they mark" if len(possible) == 1 else "one whose values mark"
        reason = f"{listed(possible, verb='has')} repeated values; choose {which} related images"
    else:
        confidence, reason = "certain", "no column looks like groups of related images"
    others = dict.fromkeys((*chosen, *possible, None))
    parse = one_of(candidates, what=f"column of {table.name}", nullable=True)
    others.pop(value)
    return Guess("prepare.group_column", value, confidence, reason, tuple(others), parse)


def only_groups(train: Table, test: Table, group: str | None = None) -> list[str]:
    """The columns of both tables that only say which images are related: patients, sequences and
    numbered places, codes within the groups of the column `group`, and those whose values are new
    in the test table.
    """

    def is_within(column: str) -> bool:
        if group is None or group == column or not FOREIGN_ID_NAME.fullmatch(column):
            return False
        return _may_be_codes(train.rows[column]) and _is_within(train.rows, column, group)

    shared = [column for column in train.columns if column in test.columns]
    return [
        column
        for column in shared
        if _repeats(train.rows[column])
        and (
            _has_codes(train.rows[column])
            or is_within(column)
            or (
                _may_be_codes(train.rows[column]) and _is_new(train.rows[column], test.rows[column])
            )
        )
    ]


def _coarsest(chosen: Sequence[str], table: Table, test: Table | None) -> str:
    """The first of the columns `chosen`, or the coarsest one that contains its groups and is named
    after groups, unless the test table has the same ones.
    """

    def is_shared(column: str) -> bool:
        if test is None or column not in test.columns:
            return False
        return {*test.rows[column]} <= {*table.rows[column]}

    first = chosen[0]
    coarser = [
        column
        for column in chosen
        if column != first
        and GROUP_NAME.fullmatch(column)
        and not is_shared(column)
        and _is_within(table.rows, first, column)
    ]
    return min([first, *coarser], key=lambda column: table.rows[column].nunique())


def _is_within(rows: pd.DataFrame, finer: str, coarser: str) -> bool:
    """Whether each group of a column is in one group of a coarser one."""
    pairs = rows[[finer, coarser]].drop_duplicates()
    return bool(pairs[finer].is_unique and not pairs[coarser].is_unique)


def _repeats(values: pd.Series) -> bool:
    """Whether a column has several values, some of them repeated, and no empty cell."""
    cells = values.unique()
    return 1 < len(cells) < len(values) and all(cell.strip() for cell in cells)


def _is_place(values: pd.Series) -> bool:
    """Whether a column is named after places or series of photos, and has codes of them, not words,
    which may describe the image (location: arm, leg).
    """
    is_named = PLACE_NAME.fullmatch(str(values.name)) is not None
    return is_named and all(any(map(str.isdigit, value)) for value in values.unique())


def _has_codes(values: pd.Series) -> bool:
    """Whether a column only tells groups apart, by its name and its number of values."""
    is_named = GROUP_NAME.fullmatch(str(values.name)) is not None
    return values.nunique() >= MIN_GROUPS and (is_named or _is_place(values))


def _is_apart(values: pd.Series, test: Table, column: str) -> bool:
    """Whether the test set seems to be split by a column: the tables have no values in common.
    Numbers that are not named as codes must be whole, with several rows each.
    """
    if column not in test.columns:
        return False
    cells = values.unique()
    is_repeated = len(values) >= MIN_ROWS_PER_NUMBER * len(cells)
    may_be_groups = _may_be_codes(values) or (is_repeated and all(map(str.isdecimal, cells)))
    return may_be_groups and _is_new(values, test.rows[column], share=1.0)


def _is_new(values: pd.Series, tests: pd.Series, share: float = MIN_NEW) -> bool:
    """Whether at least this `share` of the distinct values of the test table are new, and more than
    in random splits of the rows.
    """
    of_test = {*map(canonical, tests.unique())}
    new = len(of_test - {*map(canonical, values.unique())})
    if not of_test or new < share * len(of_test):
        return False
    codes, _ = pd.factorize(pd.concat([values, tests]).map(canonical))
    counts, rng, as_many = np.bincount(codes), np.random.default_rng(0), 0
    for _ in range(SPLITS):
        drawn = rng.choice(len(codes), len(tests), replace=False, shuffle=False)
        in_test = np.bincount(codes[drawn], minlength=len(counts))
        as_many += bool((in_test == counts).sum() >= new)
        if as_many > MAX_CHANCE * SPLITS:
            return False
    return True


def _may_be_codes(values: pd.Series) -> bool:
    """Whether a column has texts, or whole numbers whose name says that they are codes. Others are
    measurements, whose magnitude matters: an area, a year.
    """
    cells = values.unique()
    if not all(NUMBER.fullmatch(cell) for cell in cells):
        return not any(NUMBER.fullmatch(cell) and "." in cell for cell in cells)
    names = (GROUP_NAME, PLACE_NAME, FOREIGN_ID_NAME, CODE_NAME)
    is_named = any(name.fullmatch(str(values.name)) for name in names)
    return is_named and all(cell.isdecimal() for cell in cells)
