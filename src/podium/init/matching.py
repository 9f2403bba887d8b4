"""Which images the values of a column identify, and which folders contain those images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from podium.dataset.image_files import ImageIndex, normalize_path

MAX_TESTED_VALUES = 2_000  # of a column
MIN_MATCH_RATE = 0.5


@dataclass(frozen=True)
class IdColumn:
    """A column whose values identify images."""

    name: str
    match_rate: float  # fraction of its values that identify an image


@dataclass(frozen=True)
class FolderMatch:
    """A folder that contains images with the ids of a column."""

    folder: str
    ids: int  # with an image in this folder or below


def find_id_column(rows: pd.DataFrame, index: ImageIndex) -> IdColumn | None:
    """The column that identifies most images with the fewest repeated values, if there is one."""
    best: tuple[float, IdColumn] | None = None
    for name in rows.columns:
        values = rows[name]
        rate = match_rate(values.tolist(), index)
        if rate < MIN_MATCH_RATE:
            continue
        rank = rate * values.nunique() / len(values)
        if best is None or rank > best[0] + 1e-9:
            best = rank, IdColumn(str(name), rate)
    return None if best is None else best[1]


def match_rate(values: Sequence[str], index: ImageIndex) -> float:
    """The fraction of `values`, or of a sample of them, that identify an image."""
    sample = values[:: max(1, len(values) // MAX_TESTED_VALUES)]
    return sum(bool(index.find(value)) for value in sample) / max(1, len(sample))


def matching_folders(values: Sequence[str], index: ImageIndex) -> list[FolderMatch]:
    """The folders that contain images for the largest number of ids, the deepest first."""
    counts = Counter[str]()
    for value in dict.fromkeys(values):
        depth = normalize_path(value).count("/") + 1
        counts.update({folder for name in index.find(value) for folder in _above(name, depth)})
    most = max(counts.values(), default=0)
    best = [FolderMatch(folder, count) for folder, count in counts.items() if count == most]
    return sorted(best, key=lambda match: (-_depth(match.folder), match.folder))


def missing_images(values: Sequence[str], folder: str, index: ImageIndex) -> list[str]:
    """The values that identify no image in `folder`."""
    inside = f"{folder}/" if folder else ""
    return [v for v in values if not any(name.startswith(inside) for name in index.find(v))]


def _above(name: str, parts: int) -> Iterator[str]:
    """The folders above the last `parts` of a path: "a/b", "a" and "" for a/b/c.jpg and 1."""
    folders = name.split("/")[:-parts]
    for end in range(len(folders), -1, -1):
        yield "/".join(folders[:end])


def _depth(folder: str) -> int:
    return folder.count("/") + bool(folder)
