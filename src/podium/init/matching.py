"""Match the values of a column with image files, and find the folders of those files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from podium.dataset.image_files import ImageIndex, normalize_path

MAX_TESTED_VALUES = 2_000  # per column
MIN_MATCH_RATE = 0.5


@dataclass(frozen=True)
class IdColumn:
    """A column whose values identify images."""

    name: str
    match_rate: float  # fraction of its values that identify an image


def find_id_column(rows: pd.DataFrame, index: ImageIndex) -> IdColumn | None:
    """The column that identifies most images with the fewest repeated values, if there is one."""
    rates = {name: match_rate(rows[name].tolist(), index) for name in rows.columns}
    candidates = [IdColumn(name, rate) for name, rate in rates.items() if rate >= MIN_MATCH_RATE]
    return max(
        candidates,
        key=lambda column: round(column.match_rate * rows[column.name].nunique() / len(rows), 9),
        default=None,
    )


def match_rate(values: Sequence[str], index: ImageIndex) -> float:
    """The fraction of `values`, or of a sample of them, that identify an image."""
    sample = values[:: max(1, len(values) // MAX_TESTED_VALUES)]
    return sum(bool(index.find(value)) for value in sample) / max(1, len(sample))


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
