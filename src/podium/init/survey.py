"""Survey a competition's archive: tables, image folders, and a sample of the images."""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.core.errors import UserError, counted, examples
from podium.dataset.image_files import ImageIndex, image_names
from podium.images import codec
from podium.images.decoded import ImageError
from podium.init import id_patterns, joined_ids, number_cells, words
from podium.init.id_patterns import IdPattern
from podium.init.matching import IdColumn, find_id_columns
from podium.init.pixels import Pixels, find_pixels

MAX_ILLUSTRATIONS = 10  # image files next to tables of pixels
MAX_PROBED_IMAGES = 64
MAX_PROBED_PER_FOLDER = 8
OTHER_TABLES = (".tsv", ".txt", ".json", ".parquet")
MAX_OTHER_TABLES = 20
MAX_CHANCE_MATCHES = 0.25  # different images per row of a table, to doubt that it has their ids
NO_ROWS = "has no rows"
PACKED = (".rar", ".zst")
COMPRESSED = (".gz", ".bz2", ".xz")
KNOWN_SUFFIXES = {".csv", *PACKED}


@dataclass(frozen=True, eq=False)
class Table:
    """A CSV file of the archive."""

    name: str
    rows: pd.DataFrame  # all cells as text, numbers plain; without the columns of pixels
    written: Mapping[str, pd.Series] = field(default_factory=dict)  # those that were not plain
    pixels: Pixels | None = None

    @property
    def columns(self) -> list[str]:
        """Its columns, except those of pixels."""
        return [str(column) for column in self.rows.columns]

    def cells(self, column: str) -> pd.Series:
        """A column as it is in the file."""
        return self.written.get(column, self.rows[column])

    def has_word(self, *any_of: str) -> bool:
        """Whether a word of the file name is one of `any_of` (see `words.has_word`)."""
        return words.has_word(self.name.rpartition("/")[2], *any_of)


@dataclass(frozen=True)
class ImageStats:
    """The median size of some images, whether all are grayscale, and their channels."""

    height: int
    width: int
    grayscale: bool
    largest: int | None = None
    """The longest shorter side of these images; None: that of the median size."""
    channels: int = 3
    """1 and 3 if they differ, too: they become RGB."""


@dataclass(frozen=True)
class Survey:
    """The contents of an archive."""

    path: Path  # the archive
    tables: list[Table]
    images: list[str]
    folders: dict[str, int]  # number of images directly in each
    probed: dict[str, ImageStats | None] = field(default_factory=dict)
    """A sample of the images; None: cannot be decoded."""
    problems: dict[str, str] = field(default_factory=dict)  # unreadable file -> message
    ignored: dict[str, int] = field(default_factory=dict)  # suffix -> number of other files

    @cached_property
    def index(self) -> ImageIndex:
        """Finds images by their ids."""
        return ImageIndex(self.images)

    @cached_property
    def id_candidates(self) -> dict[str, list[IdColumn]]:
        """The columns of each table that identify images, the best first."""
        return {name: [] if self.id_patterns[name] else c for name, c in self._whole_names.items()}

    @cached_property
    def _whole_names(self) -> dict[str, list[IdColumn]]:
        return {table.name: find_id_columns(table.rows, self.index) for table in self.tables}

    @cached_property
    def id_columns(self) -> dict[str, IdColumn | None]:
        """The column of each table that identifies images best."""
        return {name: next(iter(columns), None) for name, columns in self.id_candidates.items()}

    @cached_property
    def id_patterns(self) -> dict[str, IdPattern | None]:
        """How each table identifies images, if only as part of their names: no column has whole
        names, or only a few, as flags do of slices 0.dcm and 1.dcm. A table lists classes if its
        values are no part of test images, or are unique and it is not named as a training table.
        """
        found = dict[str, IdPattern | None].fromkeys(table.name for table in self.tables)
        by_part, tests = id_patterns.index(self.images), id_patterns.test_paths(self.images)
        for table in self.tables:
            is_list = all(table.rows[column].is_unique for column in table.columns)
            is_list = is_list and not table.has_word("train", "label")
            whole = max((c.distinct for c in self._whole_names[table.name]), default=0.0)
            if whole < MAX_CHANCE_MATCHES and not (is_list and whole == 0):
                pattern = id_patterns.find(table.rows, by_part)
                if pattern is None or not table.rows[pattern.column].is_unique:
                    others = [other.rows for other in self.tables if other is not table]
                    pattern = joined_ids.find(table.rows, self.images, others) or pattern
                if pattern is not None and pattern.rate >= 2 * whole and pattern.fits(tests):
                    found[table.name] = pattern
            elif len(columns := self._whole_names[table.name]) > 1:
                found[table.name] = id_patterns.of_columns(table.rows, columns, self.index, by_part)
        return found

    def stats(self, folder: str) -> ImageStats | None:
        """Statistics of the probed images in `folder` and below; None if there are none."""
        inside = f"{folder}/" if folder else ""
        probed = [stats for name, stats in self.probed.items() if stats and name.startswith(inside)]
        if not probed:
            return None
        sizes = np.array([(stats.height, stats.width) for stats in probed])
        height, width = np.median(sizes, axis=0).astype(int).tolist()
        grayscale, largest = all(stats.grayscale for stats in probed), sizes.min(axis=1).max()
        channels = {stats.channels for stats in probed}
        kept = channels.pop() if len(channels) == 1 else 3
        return ImageStats(height, width, grayscale, int(largest), kept)

    def describe(self) -> str:
        """Summarize the contents in one line, for an error message."""
        tables = [
            f"{table.name} ({counted(len(table.rows), 'row')}: {', '.join(table.columns[:6])})"
            for table in self.tables
        ]
        folders = [f"{folder or '(top)'} ({count})" for folder, count in self.folders.items()]
        problems = [problem.removesuffix(".") for problem in self.problems.values()]
        unusable = f"; not usable: {examples(problems)}" if problems else ""
        return (
            f"Tables: {examples(tables) or 'none'}; "
            f"image folders: {examples(folders) or 'none'}{unusable}"
        )


def survey(archive: Archive) -> Survey:
    """Read an archive's tables and probe its images.

    A CSV file that cannot be parsed, or is empty, is listed as a problem.
    """
    names, images = archive.names, image_names(archive)
    tables, problems = list[Table](), {text: text for text in archive.skipped}
    if packed := [name for name in names if suffix(name) in PACKED]:
        problems[packed[0]] = (
            f"{examples(packed)}: only zip, 7z and tar archives are supported. Unpack it and use "
            "the folder"
        )
    for name in _table_names(names):
        try:
            table = _table(archive, name, may_have_pixels=len(images) < MAX_ILLUSTRATIONS)
        except UserError as error:
            if suffix(name) == ".csv" or _is_named_table(name):
                problems[name] = str(error)
            continue
        if suffix(name) != ".csv" and min(table.rows.shape) < 2:
            continue  # a text
        if len(table.rows):
            tables.append(table)
        else:
            problems[name] = f"{name} {NO_ROWS}"
    folders = Counter(name.rpartition("/")[0] for name in images)
    is_image = set(images).__contains__
    read = {table.name for table in tables}
    others = (full_suffix(name) for name in names if not is_image(name) and name not in read)
    ignored = Counter(name or "(no suffix)" for name in others if name not in KNOWN_SUFFIXES)
    return Survey(
        archive.path,
        tables,
        images,
        dict(sorted(folders.items())),
        _probe(archive, images),
        problems,
        dict(ignored.most_common()),
    )


def _is_named_table(name: str) -> bool:
    """Whether a JSON file is named like a table of labels."""
    return suffix(name) == ".json" and words.has_word(name.rpartition("/")[2], "train", "label")


def suffix(name: str) -> str:
    """The extension of a file name, in lower case: ".jpg"."""
    return posixpath.splitext(name)[1].lower()


def full_suffix(name: str) -> str:
    """The suffix, with that of the compressed file: ".nii.gz"."""
    last = suffix(name)
    return (suffix(name[: -len(last)]) if last in COMPRESSED else "") + last


def _table_names(names: Sequence[str]) -> list[str]:
    """The files that may be tables: all CSV files, and those of other types if they are few, not
    one per image.
    """
    found = [name for name in names if suffix(name) == ".csv"]
    for kind in OTHER_TABLES:
        others = [name for name in names if suffix(name) == kind]
        found += others if len(others) <= MAX_OTHER_TABLES else []
    return sorted(found)


def _probe(archive: Archive, images: Sequence[str]) -> dict[str, ImageStats | None]:
    """Decode a few images per folder, and only of some folders if there are many."""
    by_folder = defaultdict[str, list[str]](list)
    for name in images:
        by_folder[name.rpartition("/")[0]].append(name)
    folders = [*by_folder.values()][:: ceil(len(by_folder) / MAX_PROBED_IMAGES) or 1]
    most = min(MAX_PROBED_PER_FOLDER, MAX_PROBED_IMAGES // max(1, len(folders)))
    probed, limit = dict[str, ImageStats | None](), codec.POSSIBLE_MEGAPIXELS
    for names in folders:
        for name in names[:: max(1, len(names) // most)][:most]:
            try:
                pixels, channels = codec.look(archive.read(name), max_megapixels=limit)
            except (ImageError, UserError):
                probed[name] = None  # the stage prepare reports it, if the competition uses it
                continue
            (height, width, _), gray = pixels.shape, bool((np.ptp(pixels, axis=2) == 0).all())
            probed[name] = ImageStats(height, width, gray, channels=channels)
    return probed


def _table(archive: Archive, name: str, *, may_have_pixels: bool) -> Table:
    header = archive.header(name)
    if may_have_pixels and (pixels := find_pixels(archive, name, header)) is not None:
        of_pixels = set(pixels.columns)
        others = [column for column in header if column not in of_pixels]
        rows = archive.read_csv(name, others or [pixels.columns[0]])  # any one, for the row count
        return Table(name, *number_cells.plain(rows[others]), pixels)
    return Table(name, *number_cells.plain(archive.read_csv(name)))
