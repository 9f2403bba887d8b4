"""Ids of several images each: the pattern of the images' names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from podium.competition.text.names import is_hidden, nfc
from podium.config import images_pattern
from podium.core.errors import listed
from podium.dataset import units
from podium.dataset.image_files import ImageIndex, images_below, normalize_path
from podium.init import words
from podium.init.matching import IdColumn

ByPart = dict[str, dict[str, int]]
SEPARATORS = "_-. "
MIN_RATE = 0.5  # of ids that have images
MAX_TESTED_IDS = 2_000
MIN_SAME = 0.8  # of the ids that have the same parts
AUXILIARY_WORDS = ("mask", "annot", "segment", "thumb", "depth")  # images that are not the input


@dataclass(frozen=True)
class IdPattern:
    """A column whose values are part of the names of images."""

    column: str
    pattern: str  # `prepare.images`
    rate: float  # of its values that have images
    per_id: float  # mean number of images of those

    def fits(self, images: Sequence[str]) -> bool:
        """Whether most of these images, such as those of the test set, may have an id in their
        paths where the pattern has it. Columns are looked up in the tables.
        """
        if images_pattern.columns(self.pattern):
            return True
        count = sum(any(self.pattern == pattern for _, pattern in _parts(name)) for name in images)
        return count >= MIN_RATE * len(images)

    @property
    def reason(self) -> str:
        """Why it is assumed."""
        if columns := images_pattern.columns(self.pattern):
            return f"{listed(columns)} name the images together, {self.per_id:.2g} per id"
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


def of_columns(
    rows: pd.DataFrame, columns: Sequence[IdColumn], index: ImageIndex, by_part: ByPart
) -> IdPattern | None:
    """The pattern by which a column has all images of each row, if several other `columns` name one
    of them each (left, right): neither the same, nor auxiliary ones such as masks.
    """
    of_columns = list[set[str]]()
    for column in columns:
        if column.match_rate < 1 or words.has_word(column.name, *AUXILIARY_WORDS):
            return None
        of_columns.append({name for cell in rows[column.name] for name in index.find(cell)})
    found = find(rows[rows.columns.difference([c.name for c in columns], sort=False)], by_part)
    if found is None or found.rate < 1 or found.per_id != len(columns):
        return None
    are_different = len(set[str]().union(*of_columns)) == len(columns) * len(rows)
    return found if are_different and rows[found.column].is_unique else None


def index(images: Sequence[str]) -> ByPart:
    """The numbers of images in whose path a text can be an id, by that text and the pattern."""
    by_part = defaultdict[str, dict[str, int]](dict)
    for name in images:
        for part, pattern in _parts(name):
            counts = by_part[part]
            counts[pattern] = counts.get(pattern, 0) + 1
    return by_part


def tails(ids: Iterable[str], images: Sequence[str], pattern: str) -> dict[str, list[str]]:
    """The images of each of `ids` that has any: their paths from the id on. Instead of ids, this
    and the functions below take what columns in `pattern` name, if there are any.
    """
    depth = pattern.count("/")
    below = dict.fromkeys("/".join(name.split("/")[-1 - depth :]) for name in images)
    return units.find(below, ids, images_pattern.of_names(pattern))


def parts(ids: Iterable[Sequence[str]], images: Sequence[str], pattern: str) -> list[str] | None:
    """What `*` stands for in the images of an id, if it is the same for almost all of them: `ids`
    of the training table, and of the test images.
    """
    if pattern.count("*") != 1:
        return None
    found = [_fixed_parts(some, images, pattern) for some in ids]
    return found[0] if found and all(other == found[0] for other in found) else None


def incomplete(
    ids: Sequence[str], images: Sequence[str], pattern: str, parts: Sequence[str]
) -> list[str]:
    """The ids that have images, but not for all of `parts`."""
    return [image for image, own in _parts_of(ids, images, pattern) if not own >= {*parts}]


def test_paths(images: Sequence[str]) -> list[str]:
    """The paths of some images in folders named test, below these."""
    by_folder = defaultdict[str, list[str]](list)
    for name in images:
        folder, _, file = name.rpartition("/")
        by_folder[folder].append(file)
    paths = list[str]()
    for folder, files in by_folder.items():
        parts = folder.split("/")
        if any(named := [words.has_word(part, "test") for part in parts]):
            below = parts[named.index(True) + 1 :]
            paths += ["/".join([*below, file]) for file in files]
    return paths[:: max(1, len(paths) // MAX_TESTED_IDS)]


def _fixed_parts(ids: Sequence[str], images: Sequence[str], pattern: str) -> list[str] | None:
    sets = Counter(own for _, own in _parts_of(ids, images, pattern))
    same, count = sets.most_common(1)[0] if sets else (frozenset[str](), 0)
    is_fixed = len(same) > 1 and count >= MIN_SAME * sets.total()
    return sorted(same) if is_fixed else None


def _parts_of(
    ids: Iterable[str], images: Sequence[str], pattern: str
) -> Iterator[tuple[str, frozenset[str]]]:
    """What `*` stands for in the images of each id that has any."""
    of_names = images_pattern.of_names(pattern)
    for image, paths in tails(ids, images, pattern).items():
        literals = of_names.replace("{id}", normalize_path(image)).split("*")
        regex = re.compile("(.+)".join(map(re.escape, literals)))
        matches = (regex.fullmatch(nfc(path).rpartition(".")[0]) for path in paths)
        yield image, frozenset(match[1] for match in matches if match)


def below(ids: Sequence[str], images: Sequence[str], folder: str, pattern: str) -> str:
    """The pattern for paths below `folder`: with subfolders in front (`*/{id}_*`) if more of `ids`
    have images so.
    """
    paths, of_names = images_below([*images], folder), images_pattern.of_names(pattern)
    deeper = len(units.find(paths, ids, f"*/{of_names}")) > len(units.find(paths, ids, of_names))
    return f"*/{pattern}" if deeper else pattern


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
