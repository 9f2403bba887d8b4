"""Columns of numbers that are not written as Python writes them, for guesses."""

import pandas as pd

from podium.dataset import numbers

MIN_NUMBERS = 10  # distinct ones; fewer may be names of classes: $5, $10
MAX_TESTED = 500  # cells per column
MAX_OVERLAP = 0.5  # of what is on both sides of commas: more is on both sides in lists


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """A table with the numbers in such columns as Python writes them: 125.5 for 125,5."""
    return rows.apply(_plain) if len(rows) else rows


def _plain(column: pd.Series) -> pd.Series:
    some = column.iloc[:: max(1, len(column) // MAX_TESTED)].tolist()
    tested = numbers.read(some)
    if tested is None or all(cell.strip() == text for cell, text in tested.plain.items()):
        return column  # also most columns of 100,000 numbers, without reading all cells
    cells = column.unique().tolist()
    found = numbers.read(cells)
    if found is None or len(found.plain) < MIN_NUMBERS or _are_lists([*found.plain]):
        return column
    return column.map(dict(zip(cells, cells, strict=True)) | found.plain)


def _are_lists(cells: list[str]) -> bool:
    """Whether numbers with commas or spaces are lists of labels ("3,7"): on both sides are the same
    labels, and never equal ones.
    """
    parts = [cell.replace(" ", ",").split(",") for cell in cells]
    lists = [part for part in parts if len(part) > 1]
    first, others = {part[0] for part in parts}, {text for part in lists for text in part[1:]}
    overlap = len(first & others) / max(1, len(first | others))
    return overlap >= MAX_OVERLAP and all(len({*part}) == len(part) for part in lists)
