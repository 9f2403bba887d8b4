"""The rows of Parquet files, of which only a part is in memory."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from podium.competition.containers.base import ContainerError, cell
from podium.competition.source import Source

MAX_VALUES = 2_000_000  # in memory at once
MAX_BYTES = 32 * 2**20  # of values, before they are decompressed into columns
MAX_ROWS = 1024
BUFFER_BYTES = 2**16  # per column: without a buffer, all of a row group's column is read at once
ERRORS = (pa.ArrowException, OSError, ValueError)


class Table:
    """A Parquet file, read in parts."""

    def __init__(self, source: Source) -> None:
        """Raises: ContainerError: if it is damaged."""
        try:
            self.file = pq.ParquetFile(source.open(), buffer_size=BUFFER_BYTES)
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
        """Record batches of some columns, and the number of their first row, from the row group
        that contains `first_row`.

        Raises:
            ContainerError: if it is damaged.
        """
        start = 0
        try:
            for group in range(self.file.num_row_groups):
                count = self.file.metadata.row_group(group).num_rows
                if start + count > first_row:
                    place, rows = start, self._batch_rows(group, columns)
                    for batch in self.file.iter_batches(rows, [group], columns=[*columns]):
                        yield place, batch
                        place += batch.num_rows
                start += count
        except ERRORS as error:
            raise ContainerError(f"cannot read it: {error}") from None

    def _batch_rows(self, group: int, columns: Sequence[str]) -> int:
        """How many rows of a row group's columns may be in memory."""
        about, names = self.file.metadata.row_group(group), {*columns}
        chunks = [about.column(n) for n in range(about.num_columns)]
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.split(".")[0] in names
        )
        by_bytes = MAX_BYTES * about.num_rows // max(1, size)
        return max(1, min(MAX_VALUES // max(1, len(columns)), by_bytes, MAX_ROWS))


class Rows:
    """Rows of some columns in any order; one after the other is fast. In a process, only the one
    that was used last has a batch in memory.
    """

    _last: "Callable[[], Rows | None]" = staticmethod(lambda: None)

    def __init__(
        self, table: Table, columns: Sequence[str], convert: Callable[[Any], Any] = lambda b: b
    ) -> None:
        self._table, self._columns, self._convert = table, columns, convert
        self._batches: Iterator[tuple[int, Any]] = iter(())
        self._start, self._count = 0, 0
        self._values: Any = None

    def find(self, row: int) -> tuple[Any, int]:
        """The converted batch with a row, and its place there."""
        last = Rows._last()
        if last is not self:
            if last is not None:
                last._forget()
            Rows._last = weakref.ref(self)
        if row < self._start or not self._count:
            self._forget()
            self._batches = self._table.batches(self._columns, row)
        while row >= self._start + self._count:
            self._start, batch = next(self._batches)
            self._count = batch.num_rows
            self._values = self._convert(batch) if row < self._start + self._count else None
        return self._values, row - self._start

    def close(self) -> None:
        """Close the file."""
        self._forget()
        self._table.close()

    def _forget(self) -> None:
        self._batches, self._values = iter(()), None
        self._start, self._count = 0, 0


def _text(column: Any) -> list[str]:
    """The cells of a column as text; "" for missing ones."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [value or "" for value in column.cast(pa.large_string()).to_pylist()]
    return [cell(value) or "" for value in column.to_pylist()]
