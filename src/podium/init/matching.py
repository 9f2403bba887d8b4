"""Match the values of a column with image files, and find the folders of those files."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from podium.competition.text.names import is_hidden
from podium.dataset.image_files import ImageIndex, normalize_path

MAX_TESTED_VALUES = 2_000  # per column
MIN_MATCH_RATE = 0.5
MIN_MATCH_RATE_UNIQUE = 0.05  # of a column without repeated values, if no other matches


@dataclass(frozen=True)
class IdColumn:
    """A column whose values identify images."""

    name: str
    match_rate: float  # fraction of its values that identify an image
    distinct: float  # the same, counting repeated values once


def find_id_columns(rows: pd.DataFrame, index: ImageIndex) -> list[IdColumn]:
    """The columns that identify images; first those that identify most with the fewest repeated
    values, and of equal ones those that have a name. Values are read as numbers (7.0 is 7.jpg) only
    if no column has the names of images. If most images are missing, a column without repeated
    values will do.
    """
    unique = {name for name in rows.columns if rows[name].is_unique and len(rows) > 1}
    columns = list[IdColumn]()
    for least, names in ((MIN_MATCH_RATE, set(rows.columns)), (MIN_MATCH_RATE_UNIQUE, unique)):
        for find in (index.find_exact, index.find):
            rates = {n: match_rate(rows[n].tolist(), find) for n in rows.columns if n in names}
            columns = columns or [
                IdColumn(name, rate, round(rate * rows[name].nunique() / len(rows), 9))
                for name, rate in rates.items()
                if rate >= least
            ]
    return sorted(columns, key=lambda column: (-column.distinct, is_unnamed(column.name)))


def is_unnamed(column: str) -> bool:
    """Whether a column has no name in the file, such as the index that pandas writes, or the name
    that pandas then gives it.
    """
    return re.fullmatch(r"Unnamed: \d+(\.\d+)*|index|", column) is not None


def match_rate(values: Sequence[str], find: Callable[[str], list[str]]) -> float:
    """The fraction of `values`, or of a sample of them, for which `find` finds an image; without
    those of hidden files.
    """
    step = max(1, len(values) // MAX_TESTED_VALUES)
    sample = [value for value in values[::step] if not is_hidden(value)]
    return sum(bool(find(value)) for value in sample) / max(1, len(sample))


def matching_folders(values: Sequence[str], index: ImageIndex) -> tuple[list[str], int]:
    """The folders with images (in them or below) for the largest number of ids, the deepest first;
    and that number.
    """
    counts = Counter[str]()
    for value in dict.fromkeys(values):
        subfolders = normalize_path(value).count("/")  # which belong to the id
        names = index.find(value)
        counts.update({f for name in names for f in parents(name.rsplit("/", subfolders)[0])})
    most = max(counts.values(), default=0)
    best = [folder for folder, count in counts.items() if count == most]
    return sorted(best, key=lambda folder: (-folder.count("/") - bool(folder), folder)), most


def parents(path: str) -> set[str]:
    """The folders above a file or folder, including "", the top of the archive."""
    parts = path.split("/") if path else []
    return {"/".join(parts[:end]) for end in range(len(parts))}
