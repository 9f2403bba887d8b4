"""What lies in a competition's archive: its tables, its folders of images, and how these look."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.core.errors import UserError, examples
from podium.dataset.image_files import IMAGE_SUFFIXES
from podium.images import codec
from podium.images.decoders import ImageError

FEWEST_PIXELS = 16  # a picture of 4 x 4
ILLUSTRATIONS = 10  # images that lie beside tables of pixels, at most
PIXEL_ROWS = 200  # that are looked at
PIXELS = 0.98  # of their values can be pixels, at least
NUMBERED = re.compile(r"(.*?)(\d+)")
ROW_BY_COLUMN = re.compile(r"(\d+)x(\d+)")
HIDDEN = ("__MACOSX/", "._", ".")
PACKED = (".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".zst")
READ = {*IMAGE_SUFFIXES, ".csv", *PACKED}  # or told as problems


@dataclass(frozen=True)
class Pixels:
    """The columns of a table that are the pixels of square images."""

    prefix: str  # "pixel" of pixel0, pixel1, …; "" of 1x1, 1x2, …; or the name of the one column
    columns: list[str]
    values: np.ndarray  # uint8 [rows, pixels], of the first rows

    @property
    def channels(self) -> int:
        """1, or 3 of RGB."""
        count = self.values.shape[1]
        return 1 if math.isqrt(count) ** 2 == count else 3

    @property
    def side(self) -> int:
        """Pixels."""
        return math.isqrt(self.values.shape[1] // self.channels)


@dataclass(frozen=True)
class Table:
    """A CSV file of the archive."""

    name: str
    rows: pd.DataFrame  # text; of a table of pixels the other columns
    pixels: Pixels | None = None

    @property
    def columns(self) -> list[str]:
        """Those that are no pixels."""
        return [str(column) for column in self.rows.columns]

    def says(self, *words: str) -> bool:
        """Whether a part of the file's name begins with one of `words`: "sampleSubmission" says
        "submission", "latest" does not say "test".
        """
        return says(self.name.rpartition("/")[2], *words)


@dataclass(frozen=True)
class Look:
    """How some images look."""

    height: int  # pixels, the median
    width: int
    grey: bool


@dataclass(frozen=True)
class Survey:
    """All that lies in an archive."""

    archive: Archive
    tables: list[Table]
    images: list[str]
    folders: dict[str, int]  # how many images lie in each, itself
    problems: dict[str, str] = field(default_factory=dict)  # files that cannot be read, and why
    others: dict[str, int] = field(default_factory=dict)  # how many files of each other extension

    def contents(self) -> str:
        """All of it, in words."""
        tables = [
            f"{table.name} ({len(table.rows)} rows: {', '.join(table.columns[:6])})"
            for table in self.tables
        ]
        folders = [f"{folder or '(top)'} ({count})" for folder, count in self.folders.items()]
        return (
            f"Its tables: {examples(tables) or 'none'}; "
            f"its folders of images: {examples(folders) or 'none'}"
            f"{'; not usable: ' * bool(self.problems)}{examples([*self.problems.values()])}"
        )


def survey(archive: Archive) -> Survey:
    """Look through an archive. A CSV that cannot be parsed, or is empty, becomes one of the
    `problems`.
    """
    names = [name for name in archive.names if not _is_hidden(name)]
    pictures = [name for name in names if suffix(name) in IMAGE_SUFFIXES]
    tables, problems = list[Table](), dict[str, str]()
    if packed := [name for name in names if suffix(name) in PACKED]:
        what = f"{examples(packed)}: archives of such kinds are not read"
        problems[packed[0]] = f"{what}: unpack them, and give the folder"
    for name in sorted(name for name in names if suffix(name) == ".csv"):
        try:
            table = _table(archive, name, pixels=len(pictures) < ILLUSTRATIONS)
        except UserError as error:
            problems[name] = str(error)
            continue
        if len(table.rows):
            tables.append(table)
        else:
            problems[name] = f"{name} has no rows"
    folders = Counter(name.rpartition("/")[0] for name in pictures)
    others = Counter(suffix(name) or "(none)" for name in names if suffix(name) not in READ)
    return Survey(
        archive,
        tables,
        pictures,
        dict(sorted(folders.items())),
        problems,
        dict(others.most_common()),
    )


def look(archive: Archive, names: Sequence[str], *, most: int = 8) -> Look | None:
    """Decode a few of the images `names`, evenly spaced; None if none of them can be decoded."""
    decoded = list[np.ndarray]()
    for name in names[:: max(1, len(names) // most)][:most]:
        try:
            decoded.append(codec.decode(archive.read(name)))
        except (ImageError, UserError):
            continue  # prepare will name it, if it is one of the competition's
    if not decoded:
        return None
    sizes = np.array([pixels.shape[:2] for pixels in decoded])
    height, width = np.median(sizes, axis=0).astype(int).tolist()
    grey = all((np.ptp(pixels, axis=2) == 0).all() for pixels in decoded)
    return Look(height, width, grey)


def says(name: str, *words: str) -> bool:
    """Whether a part of `name` begins with one of `words`."""
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return any(re.search(rf"(?<![a-z]){word}", snake) for word in words)


def suffix(name: str) -> str:
    """Of a file's name, in small letters: ".jpg"."""
    stem, dot, end = name.rpartition("/")[2].rpartition(".")
    return f".{end.lower()}" if dot and stem else ""


def _is_hidden(name: str) -> bool:
    return name.startswith(HIDDEN[0]) or name.rpartition("/")[2].startswith(HIDDEN[1:])


def _table(archive: Archive, name: str, *, pixels: bool) -> Table:
    """One table; with `pixels` it may be one of pixels."""
    header = archive.header(name)
    if pixels and (found := _pixels(archive, name, header)) is not None:
        known = set(found.columns)
        others = [column for column in header if column not in known]
        return Table(name, _columns(archive, name, others, found.columns[0]), found)
    return Table(name, archive.read_csv(name))


def _pixel_columns(header: list[str]) -> tuple[str, list[str]] | None:
    """The prefix and the columns that by their names can be the pixels of a square image."""
    groups: dict[str, list[tuple[int | None, str]]] = {}
    for column in header:
        if ROW_BY_COLUMN.fullmatch(column):
            groups.setdefault("", []).append((None, column))
        elif match := NUMBERED.fullmatch(column):
            groups.setdefault(match[1], []).append((int(match[2]), column))
    for prefix, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        count, numbers = len(group), {number for number, _ in group if number is not None}
        whole = not numbers or max(numbers) - min(numbers) == len(numbers) - 1 == count - 1
        if _is_square(count) and whole:
            return prefix, sorted((column for _, column in group), key=_numbers)  # as prepare
    return None


def _numbers(column: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", column)][-2:]


def _is_square(count: int) -> bool:
    """Whether a picture can have so many pixels, grey or RGB."""
    square = any(math.isqrt(n) ** 2 * (count // n) == count for n in (count, count // 3 or 1))
    return count >= FEWEST_PIXELS and square


def _pixels(archive: Archive, name: str, header: list[str]) -> Pixels | None:
    """The first rows' pixels, if there are columns of pixels, or one with all of them: whole
    numbers from 0 to 255, and not flags. If only a few are not, prepare will name them.
    """
    rows = next(archive.csv_chunks(name, PIXEL_ROWS), None)
    if rows is None or rows.empty:
        return None
    named = _pixel_columns(header)
    if named is not None:
        prefix, columns = named
        numbers = rows[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    elif (parted := _parted(rows)) is not None:
        prefix, numbers = parted
        columns = [prefix]
    else:
        return None
    good = (numbers >= 0) & (numbers <= 255) & (numbers % 1 == 0)
    values = np.where(good, numbers, 0).astype(np.uint8)
    return Pixels(prefix, columns, values) if good.mean() > PIXELS and values.max() > 1 else None


def _parted(rows: pd.DataFrame) -> tuple[str, np.ndarray] | None:
    """The column whose cells hold the numbers of a picture, and these: [rows, pixels]."""
    for column in rows.columns:
        cells = [str(cell).split() for cell in rows[column]]
        (count, alike), *_ = Counter(map(len, cells)).most_common(1)
        if _is_square(count) and alike > PIXELS * len(cells):
            table = pd.DataFrame([cell for cell in cells if len(cell) == count])
            numbers = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
            if np.isfinite(numbers).mean() > PIXELS:  # and no captions of so many words
                return column, numbers
    return None


def _columns(archive: Archive, name: str, columns: list[str], any_of: str) -> pd.DataFrame:
    """Some columns of a table that is too large to be read whole; `any_of` counts its rows."""
    rows = archive.read_csv(name, columns or [any_of])
    return rows[columns]
