"""Guess which column contains groups of related images, and which columns only tell these apart."""

import re
from collections.abc import Collection

import pandas as pd
from scipy.special import bdtrc

from podium.competition.text.names import NUMBER, canonical
from podium.core.errors import examples
from podium.dataset import spelling
from podium.init.guesses import Confidence, Guess, one_of
from podium.init.survey import Table

MIN_GROUPS = 5  # the default number of folds
MAX_CHANCE = 0.01  # probability that a random split has no value in common
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


def guess_groups(table: Table, used: Collection[str | None], test: Table | None = None) -> Guess:
    """Guess the column whose groups must stay in one fold, except those in `used`. If the tables
    have no values of a column in common, such as locations, the test set was split by it.
    """
    candidates = [column for column in table.columns if column not in used]
    repeated = [column for column in candidates if _repeats(table.rows[column])]
    by_name = [column for column in repeated if GROUP_NAME.fullmatch(column)]
    named = [column for column in by_name if table.rows[column].nunique() >= MIN_GROUPS]
    apart = [c for c in repeated if test is not None and _is_apart(table.rows[c], test, c)]
    apart.sort(key=lambda column: table.rows[column].nunique())  # the coarsest first
    chosen = [column for column in (*apart, *named) if table.rows[column].nunique() >= MIN_GROUPS]
    possible = [c for c in repeated if FOREIGN_ID_NAME.fullmatch(c) or _is_place(table.rows[c])]
    possible = [*dict.fromkeys((*apart, *by_name, *possible))]
    confidence: Confidence = "likely"
    value: str | None = None
    if chosen:
        value = chosen[0]
        count = spelling.unify_groups(table.rows[value]).nunique()
        reason = f"{count} groups, each kept within one fold"
        if value in apart and test is not None:
            reason += f": {test.name} has none of these values"
    elif possible:
        reason = f"{examples(possible)} has repeated values; choose it if they mark related images"
    else:
        confidence, reason = "certain", "no column looks like groups of related images"
    others = dict.fromkeys((*chosen, *possible, None))
    parse = one_of(candidates, what=f"column of {table.name}", nullable=True)
    others.pop(value)
    return Guess("prepare.group_column", value, confidence, reason, tuple(others), parse)


def only_groups(train: Table, test: Table) -> list[str]:
    """The columns of both tables that only say which images are related: patients, sequences and
    numbered places, and those whose values are new in the test table.
    """
    shared = [column for column in train.columns if column in test.columns]
    return [
        column
        for column in shared
        if _repeats(train.rows[column])
        and (_has_codes(train.rows[column]) or _is_new(train.rows[column], test.rows[column]))
    ]


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
    """Whether the test set seems to be split by a column: the tables have no values in common."""
    return column in test.columns and _is_new(values, test.rows[column], share=1.0)


def _is_new(values: pd.Series, tests: pd.Series, share: float = MIN_NEW) -> bool:
    """Whether at least this `share` of the distinct values of the test table are new, which is
    unlikely by chance because most values are repeated. Measurements may be new.
    """
    if any(NUMBER.fullmatch(value) and "." in value for value in values.unique()):
        return False  # a measurement
    of_test = {*map(canonical, tests.unique())}
    new = len(of_test - {*map(canonical, values.unique())})
    if not of_test or new < share * len(of_test):
        return False
    # By Good and Turing, the chance that a further value is new is the share of values seen once.
    chance = float((values.value_counts() == 1).sum()) / len(values)
    return bool(bdtrc(new - 1, len(of_test), chance) < MAX_CHANCE)  # as many or more
