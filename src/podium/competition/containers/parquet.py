"""Parquet files: tables, and images as encoded bytes or as a column per pixel."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from podium.competition.containers.base import (
    ContainerError,
    Content,
    cell,
    choose_ids,
    npy,
    suffix_of,
)
from podium.competition.containers.shapes import MIN_PIXELS, Shapes
from podium.competition.source import Source

MAX_VALUES = 2_000_000  # in memory at once
PROBED_ROWS = 64
NUMBERED = re.compile(r"(.*?)\d+(x\d+)?")
ERRORS = (pa.ArrowException, OSError, ValueError)


class Table:
    """A Parquet file, read batch by batch."""

    def __init__(self, source: Source) -> None:
        """Raises: ContainerError: if it is damaged."""
        try:
            self.file = pq.ParquetFile(source.open())
        except ERRORS as error:
            raise ContainerError(f"not a readable Parquet file: {error}") from None
        self.schema = self.file.schema_arrow
        self.count = self.file.metadata.num_rows

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [*self.schema.names]

    def close(self) -> None:
        """Close the file."""
        self.file.close(force=True)

    def text(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows as text, as a CSV file would have them.

        Raises:
            ContainerError: if it is damaged.
        """
        try:
            table = self.file.read(columns=None if columns is None else [*columns])
        except ERRORS as error:
            raise ContainerError(f"cannot read it: {error}") from None
        return pd.DataFrame({n: _text(table.column(n)) for n in table.column_names}, dtype=str)

    def batches(self, columns: Sequence[str], first_row: int = 0) -> Iterator[tuple[int, Any]]:
        """Record batches of some columns, each with the number of its first row, starting with the
        row group that contains `first_row`.

        Raises:
            ContainerError: if it is damaged.
        """
        rows = max(1, MAX_VALUES // max(1, len(columns)))
        start = 0
        try:
            for group in range(self.file.num_row_groups):
                count = self.file.metadata.row_group(group).num_rows
                if start + count > first_row:
                    place = start
                    for batch in self.file.iter_batches(rows, [group], columns=[*columns]):
                        yield place, batch
                        place += batch.num_rows
                start += count
        except ERRORS as error:
            raise ContainerError(f"cannot read it: {error}") from None


class _Rows:
    """Random access to rows of some columns; sequential access is fast."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._table, self._columns = table, columns
        self._batches = iter(())  # type: Iterator[tuple[int, Any]]
        self._start, self._batch = 0, None  # type: int, Any

    def find(self, row: int) -> tuple[Any, int]:
        """The batch that contains a row, and the row's index in it."""
        if self._batch is None or row < self._start:
            self._batches = self._table.batches(self._columns, row)
            self._start, self._batch = next(self._batches)
        while row >= self._start + self._batch.num_rows:
            self._start, self._batch = next(self._batches)
        return self._batch, row - self._start


class _Pixels:
    """Images stored as a column per pixel."""

    def __init__(self, table: Table, columns: list[str], shapes: Shapes) -> None:
        self._rows, self._values, self._shapes = _Rows(table, columns), np.empty(0), shapes
        self._batch: Any = None
        self._is_byte = False
        first = self._matrix(0)[:PROBED_ROWS]
        self.are_images = shapes.add(first)
        self._is_byte = first.dtype.kind in "iu" and first.min() >= 0 and first.max() <= 255

    def image(self, row: int) -> bytes:
        """The image of a row, as a .npy file."""
        _, place = self._rows.find(row)
        values = self._matrix(row)
        pixels = values[place].reshape(self._shapes.shape(values.shape[1]))
        if self._is_byte and pixels.dtype != np.uint8:
            if pixels.min() < 0 or pixels.max() > 255:
                raise ContainerError(f"row {row + 1} has pixels that are not from 0 to 255")
            pixels = pixels.astype(np.uint8)
        return npy(pixels)

    def _matrix(self, row: int) -> np.ndarray:
        """The values of the batch that contains a row: [rows, pixels]."""
        batch, _ = self._rows.find(row)
        if batch is not self._batch:
            self._batch = batch
            self._values = np.stack([column.to_numpy(False) for column in batch.columns], axis=1)
        return self._values


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
        one = _Rows(table, [encoded])
        suffix = suffix_of(_bytes(*one.find(0))) or ""
        names = [name.removesuffix(suffix) for name in names]
        images = {f"{name}{suffix}": number for number, name in enumerate(names)}
        return Content(images, lambda row: _bytes(*one.find(row)), rows, table.close)
    values = _Pixels(table, pixels, shapes)
    if not values.are_images:
        return None
    images = {f"{name}.npy": number for number, name in enumerate(names)}
    return Content(images, values.image, rows, table.close)


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


def _text(column: Any) -> list[str]:
    """The cells of a column as text; "" for missing ones."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [value or "" for value in column.cast(pa.large_string()).to_pylist()]
    return [cell(value) or "" for value in column.to_pylist()]
