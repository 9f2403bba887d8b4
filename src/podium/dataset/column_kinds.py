"""What the columns of a table contain, by their text: numbers, dates, or categories."""

import re

import numpy as np
import pandas as pd

from podium.config.prepare_values import ColumnKind
from podium.dataset import numbers
from podium.dataset.numbers import Numbers
from podium.metadata.encoding import MAX_CATEGORIES

MISSING = {"", "na", "n/a", "nan", "null", "none", "nil", "-", "?", "<na>", "inf", "-inf"}
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?.*)?", re.ASCII)
CODE = re.compile(r"\d{3,}", re.ASCII)  # such as postal codes
ID_NAME = re.compile(r".*[_ -](?i:id|code)|.*[a-z](Id|ID|Code)|(?i:id|code)")
RUNNING_NAME = re.compile(
    r"(?i)(image|img|photo|picture|pic|frame|slice|scan|shot|page|file|row|instance|sample)"
    r"[_ -]?(number|num|no|nr|index|idx)"
)
YEARS = (1500, 2200)
AMBIGUOUS = "commas may be decimal or separate thousands: set numeric or decimal_comma"
MIN_ROWS_PER_CODE = 4  # mean
MIN_ROWS_PER_CATEGORY = 2
MIN_ROWS_WITH_GAPS = 100  # of a column that numbers the rows, but not all of them


def why_not(texts: pd.Series) -> str | None:
    """Why a column of text is not usable; None: it is."""
    known = texts[~is_missing(texts)]
    distinct = known.nunique()
    if distinct < 2:
        return "constant" if distinct else "empty"
    if (kind := kind_of(texts)) != "categorical":
        values = numbers_in(known, kind)
        if RUNNING_NAME.fullmatch(str(texts.name)) and (values % 1 == 0).all():
            return "numbers the images"
        return "numbers the rows" if _numbers_rows(values) else None
    if (written := _written(known)) is not None and written.is_ambiguous:
        return AMBIGUOUS
    is_code = ID_NAME.fullmatch(str(texts.name)) and _are_whole(known)
    fewest = MIN_ROWS_PER_CODE if is_code else MIN_ROWS_PER_CATEGORY
    if distinct > min(MAX_CATEGORIES, len(known) / fewest):
        what = "codes" if is_code else "text"
        return f"{what} with {distinct} different values"
    return None


def _numbers_rows(values: pd.Series) -> bool:
    """Whether the values are distinct whole numbers, sorted or with few gaps, as in a saved index:
    they say only where a row is in this table.
    """
    if not (values % 1 == 0).all() or values.duplicated().any():
        return False
    # A few ages may all be different. Among many, that is no coincidence.
    gaps = 2 if len(values) >= MIN_ROWS_WITH_GAPS else 1
    return bool(values.is_monotonic_increasing or np.ptp(values) < gaps * len(values))


def kind_of(texts: pd.Series) -> ColumnKind:
    """Infer the type of a column. Whole numbers are codes, hence categories, if the column is named
    so, or if they repeat and have the same length, unless they may be years. Lists of numbers are
    categories, too, and so are numbers with commas that may be decimal or separate thousands.
    """
    known = texts[~is_missing(texts)]
    decimal = numbers.POINT
    if _plain_numbers(known).isna().any():
        found = _written(known)
        if found is None or found.is_ambiguous or numbers.are_lists(found.plain):
            return "categorical"
        known, decimal = known.map(found.plain), found.decimal
    distinct = known.str.strip().drop_duplicates()
    if ID_NAME.fullmatch(str(texts.name)) and _are_whole(distinct):
        return "categorical"
    if len(distinct) and distinct.map(lambda text: CODE.fullmatch(text) is not None).all():
        is_year = distinct.str.len().eq(4) & distinct.astype(float).between(*YEARS)
        repeats = len(known) >= MIN_ROWS_PER_CODE * len(distinct) > MIN_ROWS_PER_CODE
        if distinct.str.len().nunique() == 1 and repeats and not is_year.all():
            return "categorical"
    return "decimal_comma" if decimal == numbers.COMMA else "numeric"


def _are_whole(texts: pd.Series) -> bool:
    plain = (text.strip().removesuffix(".0") for text in texts.unique())
    return all(text.isdecimal() for text in plain)


def _written(texts: pd.Series) -> Numbers | None:
    """How the numbers in a column are written; None if it is not one of numbers."""
    is_number = numbers.read(texts.head(1)) is not None  # a fast check: texts may be long
    return numbers.read(texts.unique()) if is_number else None


def is_missing(texts: pd.Series) -> pd.Series:
    return texts.str.strip().str.lower().isin(MISSING)


def numbers_in(texts: pd.Series, kind: ColumnKind) -> pd.Series:
    """Text as numbers, and dates as days; NaN for anything else."""
    decimal = numbers.COMMA if kind == "decimal_comma" else numbers.POINT
    values = _plain_numbers(texts)
    others = texts if decimal == numbers.COMMA else texts[values.isna()]
    cells = {cell: numbers.read_cell(cell, decimal) for cell in others.unique()}
    read = pd.to_numeric(others.map(cells), errors="coerce").dropna()
    values[read.index] = read
    return values


def _plain_numbers(texts: pd.Series) -> pd.Series:
    """Numbers as Python writes them, and dates as days; NaN for anything else."""
    values = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    others = texts[values.isna()].str.strip()
    dates = others[[DATE.fullmatch(text) is not None for text in others]]
    times = pd.to_datetime(dates, errors="coerce", utc=True, format="ISO8601")
    values[dates.index] = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    return values
