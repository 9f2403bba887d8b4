"""Parquet files: tables, and images as encoded bytes or as a column per pixel."""

import re
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from podium.competition.containers.base import (
    ContainerError,
    Content,
    choose_ids,
    npy,
    suffix_of,
)
from podium.competition.containers.parquet_rows import Rows, Table
from podium.competition.containers.shapes import MIN_PIXELS, Shapes
from podium.competition.source import Source

PROBED_ROWS = 64
NUMBERED = re.compile(r"(.*?)\d+(x\d+)?")


class _Pixels:
    """Images stored as a column per pixel."""

    def __init__(self, table: Table, columns: list[str], shapes: Shapes) -> None:
        self._rows, self._shapes = Rows(table, columns, _matrix), shapes
        self._is_byte = False
        first = self._rows.find(0)[0][:PROBED_ROWS]
        self.are_images = shapes.add(first)
        self._is_byte = first.dtype.kind in "iu" and first.min() >= 0 and first.max() <= 255
        self.close = self._rows.close

    def image(self, row: int) -> bytes:
        """The image of a row, as a .npy file."""
        values, place = self._rows.find(row)
        pixels = values[place].reshape(self._shapes.shape(values.shape[1]))
        if self._is_byte and pixels.dtype != np.uint8:
            if pixels.min() < 0 or pixels.max() > 255:
                raise ContainerError(f"row {row + 1} has pixels that are not from 0 to 255")
            pixels = pixels.astype(np.uint8)
        return npy(pixels)


def _matrix(batch: Any) -> np.ndarray:
    """The values of a batch: [rows, pixels]."""
    return np.stack([column.to_numpy(False) for column in batch.columns], axis=1)


def read(source: Source, _: str, shapes: Shapes) -> Content | None:
    """List the images of a table and its other columns; None if it contains no images.

    Raises:
        ContainerError: if it is damaged.
    """
    table = Table(source)
    if not table.count:
        return None
    encoded = _encoded_column(table)
    pixels = [] if encoded is not None else _pixel_columns(table)
    if encoded is None and not pixels:
        return None
    used = {encoded, *pixels}
    others = [n for n in table.header if n not in used and _is_plain(table, n)]
    rows = table.text(others)
    ids = choose_ids({name: rows[name].tolist() for name in others})
    if ids is None:
        ids = "id"
        rows.insert(0, ids, [str(number) for number in range(1, table.count + 1)])
    names = rows[ids].tolist()
    if encoded is not None:
        one = Rows(table, [encoded])
        suffix = suffix_of(_bytes(*one.find(0))) or ""
        names = [name.removesuffix(suffix) for name in names]
        images = {f"{name}{suffix}": number for number, name in enumerate(names)}
        return Content(images, lambda row: _bytes(*one.find(row)), rows, one.close)
    values = _Pixels(table, pixels, shapes)
    if not values.are_images:
        return None
    images = {f"{name}.npy": number for number, name in enumerate(names)}
    return Content(images, values.image, rows, values.close)


def _encoded_column(table: Table) -> str | None:
    """The column of encoded images: bytes, or structures with the field `bytes`."""
    for field in table.schema:
        kind = field.type
        if pa.types.is_struct(kind):
            kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else None
        if kind is not None and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            _, batch = next(table.batches([field.name]))
            if batch.num_rows and suffix_of(_bytes(batch, 0)) is not None:
                return str(field.name)
    return None


def _bytes(batch: Any, row: int) -> bytes:
    """The encoded image in a row of a batch of one column."""
    value = batch.column(0)[row].as_py()
    return (value.get("bytes") if isinstance(value, dict) else value) or b""


def _pixel_columns(table: Table) -> list[str]:
    """The largest set of numeric columns `<prefix><number>`, in order, if there are enough for an
    image.
    """
    groups = defaultdict[str, list[str]](list)
    for field in table.schema:
        is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        if is_number and (match := NUMBERED.fullmatch(field.name)):
            groups[match[1]].append(field.name)
    columns = max(groups.values(), key=len, default=[])
    is_image = len(columns) >= max(MIN_PIXELS, len(table.header) // 2)
    return sorted(columns, key=_numbers) if is_image else []


def _numbers(column: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", column)][-2:]


def _is_plain(table: Table, name: str) -> bool:
    kind = table.schema.field(name).type
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))
