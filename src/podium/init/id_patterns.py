"""Ids of several images each: the pattern of the images' names."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from podium.competition.text.names import is_hidden
from podium.dataset import units
from podium.dataset.image_files import images_below, normalize_path

ByPart = dict[str, dict[str, int]]
SEPARATORS = "_-. "
MIN_RATE = 0.5  # of ids that have images
MAX_TESTED_IDS = 2_000


@dataclass(frozen=True)
class IdPattern:
    """A column whose values are part of the names of images."""

    column: str
    pattern: str  # `prepare.images`
    rate: float  # of its values that have images
    per_id: float  # mean number of images of those

    @property
    def reason(self) -> str:
        """Why it is assumed."""
        share = "all" if self.rate == 1 else f"{self.rate:.0%}"
        return f"{share} of its values are part of image names, {self.per_id:.2g} images per id"


def find(rows: pd.DataFrame, by_part: ByPart) -> IdPattern | None:
    """The column and the pattern for which the most ids have images; None if most have none in all
    columns. Only columns with few repeated values are ids.
    """
    candidates = list[tuple[float, IdPattern]]()
    for column in map(str, rows.columns):
        values = [value for value in rows[column].unique() if not is_hidden(value)]
        distinct = len(values) / max(1, len(rows))
        tested = values[:: max(1, len(values) // MAX_TESTED_IDS)]
        counts = defaultdict[str, list[int]](list)
        for value in tested:
            for pattern, count in by_part.get(normalize_path(value), {}).items():
                counts[pattern].append(count)
        for pattern, per_id in counts.items():
            rate = len(per_id) / len(tested)
            if min(rate, distinct) >= MIN_RATE:
                found = IdPattern(column, pattern, rate, sum(per_id) / len(per_id))
                candidates.append((rate * distinct, found))
    # Of patterns with as many ids, the one that is tried first; of columns, the first.
    return max(candidates, key=lambda candidate: candidate[0], default=(0, None))[1]


def index(images: Sequence[str]) -> ByPart:
    """The numbers of images in whose path a text can be an id, by that text and the pattern."""
    by_part = defaultdict[str, dict[str, int]](dict)
    for name in images:
        for part, pattern in _parts(name):
            counts = by_part[part]
            counts[pattern] = counts.get(pattern, 0) + 1
    return by_part


def tails(ids: Iterable[str], images: Sequence[str], pattern: str) -> dict[str, list[str]]:
    """The images of each of `ids` that has any: their paths from the id on."""
    depth = pattern.count("/")
    below = dict.fromkeys("/".join(name.split("/")[-1 - depth :]) for name in images)
    return units.find(below, ids, pattern)


def below(ids: Sequence[str], images: Sequence[str], folder: str, pattern: str) -> str:
    """The pattern for paths below `folder`: with subfolders in front (`*/{id}_*`) if more of `ids`
    have images so.
    """
    paths = images_below([*images], folder)
    return max((pattern, f"*/{pattern}"), key=lambda each: len(units.find(paths, ids, each)))


def _parts(name: str) -> Iterator[tuple[str, str]]:
    """What may be an id in an image's path, with the pattern: each folder, and what precedes or
    follows a separator in the file name.
    """
    *folders, file = name.split("/")
    stem = file.rpartition(".")[0]
    for place, folder in enumerate(reversed(folders), 1):
        yield folder, "{id}/" + "/".join("*" * place)
    marks = [*re.finditer(f"[{re.escape(SEPARATORS)}]", stem)]
    for mark in reversed(marks):
        yield stem[: mark.start()], f"{{id}}{mark[0]}*"
    for mark in marks:
        yield stem[mark.end() :], f"*{mark[0]}{{id}}"
