"""Columns of numbers that are not written as Python writes them, for guesses."""

import pandas as pd

from podium.dataset import numbers

MIN_NUMBERS = 10  # distinct ones; fewer may be names of classes: $5, $10
MAX_TESTED = 500  # cells per column


def plain(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """A table with the numbers in such columns as Python writes them: 125.5 for 125,5. Also returns
    these columns as they are in the file.
    """
    found = {str(name): _plain(rows[name]) for name in rows}
    changed = {name: column for name, column in found.items() if column is not None}
    return rows.assign(**changed), {name: rows[name] for name in changed}


def _plain(column: pd.Series) -> pd.Series | None:
    """The column with plain numbers; None if it has no other ones."""
    some = column.iloc[:: max(1, len(column) // MAX_TESTED)].tolist()
    tested = numbers.read(some)
    if tested is None or all(cell.strip() == text for cell, text in tested.plain.items()):
        return None  # also most columns of 100,000 numbers, without reading all cells
    cells = column.unique().tolist()
    found = numbers.read(cells)
    if found is None or len(found.plain) < MIN_NUMBERS or numbers.are_lists(found.plain):
        return None
    return column.map(dict(zip(cells, cells, strict=True)) | found.plain)
