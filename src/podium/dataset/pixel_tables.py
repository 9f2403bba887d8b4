"""Images stored as pixels in tables: one pixel per column, as in Digit Recognizer, or all pixels in
one column, as in FER-2013.
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

MAX_VALUES = 2_000_000  # in memory at once


def columns(header: list[str], layout: Prepare, name: str) -> list[str]:
    """The pixel columns of the table `name`, sorted by number, or the one column with all pixels.

    Raises:
        UserError: if there are none, or not as many as a square grayscale or RGB image has.
    """
    prefix = layout.pixel_columns or ""
    pattern = re.compile(re.escape(prefix) + (r"\d+" if prefix else r"\d+(x\d+)?"))
    others = {layout.id_column, layout.group_column, *layout.label_columns}
    pixels = [column for column in header if column not in others and pattern.fullmatch(column)]
    if not pixels and prefix in header and prefix not in others:
        return [prefix]
    if not pixels:
        raise UserError(
            f"{name} has no pixel columns {prefix}0, {prefix}1, … (columns: {examples(header)}). "
            "Set prepare.pixel_columns to their prefix."
        )
    _check_square(len(pixels), name)
    return sorted(pixels, key=lambda column: [int(n) for n in column[len(prefix) :].split("x")])


def square_shape(count: int) -> tuple[int, int] | None:
    """The side and the channels of a square image of `count` values; None if there is none."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count:
            return side, channels
    return None


def as_images(values: np.ndarray, order: str) -> np.ndarray:
    """Rows of the values of square images, [N, count], as [N, side, side] or, if they are RGB in
    the pixel order `order`, [N, side, side, 3].
    """
    shape = square_shape(values.shape[1])
    assert shape is not None  # has been checked
    side, channels = shape
    if channels == 1:
        return values.reshape(-1, side, side)
    if order == "interleaved":
        return values.reshape(-1, side, side, 3)
    return values.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)


def _check_square(count: int, name: str) -> None:
    if square_shape(count) is None:
        raise UserError(
            f"{name} has {count} pixels per row, but a square image has side x side (grayscale) or "
            "3 x side x side (RGB). Check that prepare.pixel_columns matches all pixel columns and "
            "no others."
        )


def store_images(
    archive: Archive, ids: dict[str, list[str]], *, folder: Path, layout: Prepare
) -> dict[str, dict[str, str]]:
    """Write the images of the tables to the stores `folder`/train and `folder`/test, as PNG files
    of at most `max_size`. `ids` are in the order of the tables' rows. At most `MAX_VALUES` values
    are in memory at a time.

    Returns:
        The checksum of each image's pixels, by "train" or "test", and id.

    Raises:
        UserError: for pixels that are not whole numbers from 0 to 255.
    """
    pixel_columns, count = _pixel_columns(archive, layout)
    checksums: dict[str, dict[str, str]] = {part: {} for part in ids}

    def encoded(part: str, name: str) -> Iterator[tuple[str, bytes]]:
        images = _read(archive, name, pixel_columns, count, layout.pixel_order)
        for image, pixels in zip(ids[part], images, strict=True):
            small = resizing.downsize(pixels, layout.max_size)
            checksums[part][image] = codec.checksum(small)
            yield image, codec.encode_png(small)

    for part, name in (("train", layout.train_csv), ("test", layout.test_csv)):
        assert name is not None  # Prepare has checked it
        (folder / part).mkdir(parents=True)
        images = encoded(part, name)
        shards = range(-(-len(ids[part]) // store.SHARD_SIZE))
        for number in console.bar(shards, f"{part} images"):
            path = folder / part / f"{number:05d}.arrow"
            part_images = islice(images, store.SHARD_SIZE)
            store.write_shard(path, part_images, encode="png", channels=layout.channels)
    return checksums


def _pixel_columns(archive: Archive, layout: Prepare) -> tuple[list[str], int]:
    """The pixel columns of both tables, and the number of pixel values per row.

    Raises:
        UserError: if the tables differ in one of them.
    """
    names = str(layout.train_csv), str(layout.test_csv)
    train, test = (columns(archive.header(name), layout, name) for name in names)
    if train != test:
        different = sorted(set(train) ^ set(test))
        raise UserError(
            f"{names[0]} has {len(train)} pixel columns and {names[1]} has {len(test)}: only "
            f"one of them has {examples(different)}. Give both the same columns."
        )
    if len(train) > 1:
        return train, len(train)
    first_rows = [next(archive.csv_chunks(name, 1)) for name in names]
    counts = [len(str(row[train[0]].iloc[0]).split()) for row in first_rows]
    if counts[0] != counts[1]:
        raise UserError(
            f"the images of {names[0]} have {counts[0]} pixels, those of {names[1]} {counts[1]}. "
            "Resize them to the same size."
        )
    return train, counts[0]


def _read(
    archive: Archive, name: str, pixel_columns: list[str], count: int, order: str
) -> Iterator[np.ndarray]:
    """The images of a table, in the order of its rows: uint8 [side, side] or [side, side, 3]."""
    _check_square(count, name)
    width, start = max(count, len(archive.header(name))), 0
    for chunk in archive.csv_chunks(name, max(1, MAX_VALUES // width)):
        values = _values(chunk[pixel_columns], count, name, start)
        start += len(chunk)
        yield from as_images(values, order)


def _values(chunk: pd.DataFrame, count: int, name: str, start: int) -> np.ndarray:
    """The pixels of `chunk`, whose first row is row `start` of the table: uint8 [rows, `count`]."""
    is_joined = len(chunk.columns) < count
    if is_joined:
        values = _split(chunk.iloc[:, 0], count, name, start)
    else:
        texts = chunk.select_dtypes(exclude="number").astype(str)
        values = chunk.assign(**texts.apply(pd.to_numeric, errors="coerce")).to_numpy()
    with np.errstate(invalid="ignore"):
        valid = (values >= 0) & (values <= 255) & (values % 1 == 0)  # False for NaN
    if not valid.all():
        row, number = (int(index) for index in np.argwhere(~valid)[0])
        if is_joined:
            where = f"number {number + 1} of {chunk.columns[0]}"
            value = str(chunk.iloc[row, 0]).split()[number]
        else:
            where, value = chunk.columns[number], str(chunk.iloc[row, number])
        raise UserError(
            f"{name}, row {start + row + 2}: {where} is {value!r}, but pixels must be whole "
            f"numbers from 0 to 255. In rows {start + 2} to {start + len(chunk) + 1}, "
            f"{int((~valid).sum())} values are not. Fix them."
        )
    return values.astype(np.uint8)


def _split(cells: pd.Series, count: int, name: str, start: int) -> np.ndarray:
    """The `count` numbers in each cell, separated by spaces: [rows, `count`]; NaN for other values.

    Raises:
        UserError: if a cell has more or fewer.
    """
    values = np.empty((len(cells), count))
    for row, cell in enumerate(cells.astype(str)):
        parts = cell.split()
        if len(parts) != count:
            raise UserError(
                f"{name}, row {start + row + 2}: {cells.name} has {len(parts)} pixels, but row 2 "
                f"has {count}. Fix it."
            )
        try:
            values[row] = parts
        except ValueError:
            values[row] = pd.to_numeric(pd.Series(parts), errors="coerce")
    return values
