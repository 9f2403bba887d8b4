"""Images that stand in a table, one a row: its pixels in columns, as in Digit Recognizer, or all in
one, as in FER-2013.
"""

import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import console
from podium.core.errors import UserError, examples
from podium.images import codec, resizing, store

VALUES = 2_000_000  # that are in memory at once


def columns(header: list[str], layout: Prepare, name: str) -> list[str]:
    """The columns of the table `name` that are pixels, in the order of their numbers; or the one
    that holds them all.

    Raises:
        UserError: if there are none, or not as many as a square image has, grey or RGB.
    """
    prefix = layout.pixel_columns or ""
    pattern = re.compile(re.escape(prefix) + (r"\d+" if prefix else r"\d+(x\d+)?"))
    others = {layout.id_column, layout.group_column, *layout.label_columns}
    found = [column for column in header if column not in others and pattern.fullmatch(column)]
    if not found and prefix in header and prefix not in others:
        return [prefix]
    if not found:
        raise UserError(
            f"{name} has no columns of pixels, {prefix}0, {prefix}1, …; it has {examples(header)}: "
            "name what they begin with in prepare.pixel_columns"
        )
    shape(len(found), name)
    return sorted(found, key=lambda column: [int(n) for n in column[len(prefix) :].split("x")])


def shape(count: int, name: str) -> tuple[int, int]:
    """The side and the channels of a square image of so many values.

    Raises:
        UserError: if there is none.
    """
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count:
            return side, channels
    raise UserError(
        f"{name} has {count} pixels in a row: a square image has side x side (grey) or "
        "3 x side x side (RGB); does prepare.pixel_columns name all of them, and no others?"
    )


def store_images(
    archive: Archive, ids: dict[str, list[str]], *, folder: Path, layout: Prepare
) -> None:
    """Write the images of the tables to the stores `folder`/train and `folder`/test, as PNG files
    of at most `max_size`. `ids` are in the order of the tables' rows. Memory holds `VALUES` of the
    tables' values at a time.

    Raises:
        UserError: for pixels that are no whole numbers from 0 to 255, with the table and the row.
    """
    _check_the_same(archive, layout)
    for part, name in (("train", layout.train_csv), ("test", layout.test_csv)):
        assert name is not None  # Prepare has checked it
        (folder / part).mkdir(parents=True)
        rows = _named(ids[part], _read(archive, name, layout), name)
        encoded = (
            (image, codec.encode_png(resizing.downsize(p, layout.max_size))) for image, p in rows
        )
        shards = range(-(-len(ids[part]) // store.SHARD_SIZE))
        for number in console.bar(shards, f"{part} images"):
            path = folder / part / f"{number:05d}.arrow"
            store.write_shard(path, islice(encoded, store.SHARD_SIZE), encode="png")


def _check_the_same(archive: Archive, layout: Prepare) -> None:
    """Raises: UserError: if the tables have not the same columns of pixels, or images of another
    size in them.
    """
    names = str(layout.train_csv), str(layout.test_csv)
    train, test = (columns(archive.header(name), layout, name) for name in names)
    counts = [
        _count(archive, name, found) for name, found in zip(names, (train, test), strict=True)
    ]
    if train == test and counts[0] != counts[1]:
        raise UserError(
            f"the images of {names[0]} have {counts[0]} pixels, those of {names[1]} {counts[1]}"
        )
    if train != test:
        other = sorted(set(train) ^ set(test))
        raise UserError(
            f"{layout.train_csv} has {len(train)} columns of pixels and {layout.test_csv} "
            f"{len(test)}; {examples(other)} stand in one of them only"
        )


def _named(
    ids: list[str], found: Iterator[np.ndarray], name: str
) -> Iterator[tuple[str, np.ndarray]]:
    for count, image in enumerate(ids):
        pixels = next(found, None)
        if pixels is None:
            raise UserError(f"{name} ends after {count} of {len(ids)} rows")
        yield image, pixels


def _read(archive: Archive, name: str, layout: Prepare) -> Iterator[np.ndarray]:
    """The images of a table, in the order of its rows: uint8 [side, side] or [side, side, 3]."""
    header = archive.header(name)
    found = columns(header, layout, name)
    count = _count(archive, name, found)
    side, channels = shape(count, name)
    start = 0
    for chunk in archive.csv_chunks(name, max(1, VALUES // max(count, len(header)))):
        values = _values(chunk[found], count, name, start)
        start += len(chunk)
        if channels == 1:
            yield from values.reshape(-1, side, side)
        elif layout.pixel_order == "interleaved":
            yield from values.reshape(-1, side, side, 3)
        else:
            yield from values.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)


def _count(archive: Archive, name: str, found: list[str]) -> int:
    """How many pixels a row of a table has."""
    if len(found) > 1:
        return len(found)
    return next(
        (len(str(rows[found[0]].iloc[0]).split()) for rows in archive.csv_chunks(name, 1)), 0
    )


def _values(chunk: pd.DataFrame, count: int, name: str, start: int) -> np.ndarray:
    """The pixels of some rows, the first of which is number `start`: uint8 [rows, `count`]."""
    one = chunk.columns[0] if len(chunk.columns) < count else None
    values = _numbers(chunk) if one is None else _parted(chunk[one], count, name, start)
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= 255) & (values % 1 == 0)  # False for what is no number
    if not good.all():
        row, place = (int(index) for index in np.argwhere(~good)[0])
        if one is None:
            what, value = chunk.columns[place], str(chunk.iloc[row, place])
        else:
            what, value = f"number {place + 1} of {one}", str(chunk.iloc[row, 0]).split()[place]
        raise UserError(
            f"{name}, row {start + row + 2}: {what} is {value!r}: "
            f"pixels are whole numbers from 0 to 255; {int((~good).sum())} are not, of the rows "
            f"{start + 2} to {start + len(chunk) + 1}"
        )
    return values.astype(np.uint8)


def _numbers(table: pd.DataFrame) -> np.ndarray:
    """A number a column; NaN for what is none."""
    for column in [name for name in map(str, table) if table[name].dtype.kind not in "iuf"]:
        table = table.assign(**{column: pd.to_numeric(table[column].astype(str), errors="coerce")})
    return table.to_numpy()


def _parted(cells: pd.Series, count: int, name: str, start: int) -> np.ndarray:
    """The numbers that stand in each cell, with spaces between them: [rows, `count`].

    Raises:
        UserError: if there are more or fewer in one.
    """
    values = np.empty((len(cells), count))
    for row, cell in enumerate(cells.astype(str)):
        parts = cell.split()
        if len(parts) != count:
            raise UserError(
                f"{name}, row {start + row + 2}: {cells.name} has {len(parts)} pixels, in row 2 "
                f"it has {count}"
            )
        try:
            values[row] = parts
        except ValueError:
            values[row] = pd.to_numeric(pd.Series(parts), errors="coerce")
    return values
