"""The order of a submission's columns: tables in memory have the ids first, files as the sample
submission has them.
"""

import pandas as pd


def id_first(table: pd.DataFrame, place: int) -> pd.DataFrame:
    """Move the id column, the `place`-th of a file, to the front."""
    return table.iloc[:, [place, *(i for i in range(table.shape[1]) if i != place)]]


def as_in_file(table: pd.DataFrame, place: int) -> pd.DataFrame:
    """Move the id column from the front to its `place` in the file: the inverse of `id_first`."""
    others = [*range(1, table.shape[1])]
    return table.iloc[:, [*others[:place], 0, *others[place:]]]
