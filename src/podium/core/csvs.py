"""Read CSV files as text: ids keep their leading zeros, and a class may be called "NA"."""

import codecs
import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pandas as pd

from podium.core import files
from podium.core.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
DECIMAL_COMMA = re.compile(r"[+-]?(\d+)(?:,(\d+))?", re.ASCII)
HEAD_BYTES = 4096  # searched for NUL bytes


class _IrregularError(UserError):
    """A row has more fields than the header, or a quote is not closed."""


Opener = Callable[[], IO[bytes]]  # opens the file from its beginning


def read(path: Path) -> pd.DataFrame:
    """Read a CSV file as text, with its own column names.

    Raises:
        UserError: if it is missing or cannot be parsed.
    """
    return parse(files.read(path), name=str(path))


def parse(data: bytes, *, name: str = "the CSV") -> pd.DataFrame:
    """Parse a CSV as text, with its own column names; raises as `table` does."""
    return table(lambda: io.BytesIO(data), name, own_names=True)


def table(
    opener: Opener, name: str, columns: list[str] | None = None, *, own_names: bool = False
) -> pd.DataFrame:
    """Read the CSV that `opener` opens as text; only `columns`, if given.

    The header line determines the separator: comma, semicolon, tab or vertical bar. Empty and
    repeated column names become unique, as in pandas ("Unnamed: 0", "label.1"), unless `own_names`.
    Decimal commas in files with semicolons become points.
    If rows have more fields than the header, quotes inside quoted fields may not be doubled ("a
    "no, stop" sign"): then a quote ends a field only if the separator or the line's end follows.

    Raises:
        UserError: with `name` and the row (the header is row 1), if it is empty, is neither UTF-8
            nor UTF-16 with a byte order mark, or a row has more fields than the header.
    """
    try:
        rows = _rows(opener, name, columns)
    except _IrregularError as error:
        repaired = _double_quotes(opener, name)
        try:
            rows = _rows(lambda: io.BytesIO(repaired), name, columns)
        except UserError:
            raise error from None
    return rows.set_axis(header(opener, name, own_names=True), axis=1) if own_names else rows


def header(opener: Opener, name: str, *, own_names: bool = False) -> list[str]:
    """Read the column names only, as `table` does."""
    with _reader(opener, name) as read_csv:
        if own_names:
            return [str(column) for column in read_csv(dtype=str, header=None, nrows=1).iloc[0]]
        return [str(column) for column in read_csv(dtype=str, nrows=0).columns]


def chunks(opener: Opener, name: str, rows: int) -> Iterator[pd.DataFrame]:
    """Read `rows` rows at a time, numbers as numbers; raises as `table` does."""
    with _reader(opener, name) as read_csv:
        yield from read_csv(chunksize=rows, low_memory=False)


def id_first(table: pd.DataFrame, place: int) -> pd.DataFrame:
    """Move the id column, the `place`-th of a file, to the front, as tables in memory have it."""
    return table.iloc[:, [place, *(i for i in range(table.shape[1]) if i != place)]]


def as_in_file(table: pd.DataFrame, place: int) -> pd.DataFrame:
    """Move the id column from the front to its `place` in the file: the inverse of `id_first`."""
    others = [*range(1, table.shape[1])]
    return table.iloc[:, [*others[:place], 0, *others[place:]]]


def _rows(opener: Opener, name: str, columns: list[str] | None) -> pd.DataFrame:
    with _reader(opener, name) as read_csv:
        rows: pd.DataFrame = read_csv(dtype=str, usecols=columns)
    if _dialect(opener, name)[1] == ";":
        rows = rows.apply(_with_decimal_points)
    return rows


def _with_decimal_points(column: pd.Series) -> pd.Series:
    """Replace decimal commas by points if all cells of the column are numbers. A list such as "3,7"
    is recognized, since numbers occur on both sides of its commas.
    """
    cells = [cell for cell in column.unique() if cell.strip()]
    matches = [match for cell in cells if (match := DECIMAL_COMMA.fullmatch(cell.strip()))]
    pairs = [(match[1], match[2]) for match in matches if match[2] is not None]
    are_lists = {second for _, second in pairs} <= {match[1] for match in matches}
    are_distinct = all(first != second for first, second in pairs)
    if not pairs or len(matches) < len(cells) or (are_lists and are_distinct):
        return column
    return column.str.replace(",", ".")


@contextmanager
def _reader(opener: Opener, name: str) -> Iterator[Callable[..., Any]]:
    """Yield `pandas.read_csv` for the file. Its errors become a UserError that names the row."""
    encoding, separator = _dialect(opener, name)
    with opener() as stream, warnings.catch_warnings():
        # Values of a row beyond the header would be dropped with a warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        options = {"sep": separator, "encoding": encoding}
        try:
            yield partial(pd.read_csv, stream, **options, keep_default_na=False, index_col=False)
        except UnicodeError as error:
            detail = str(error) if encoding == "utf-16" else _undecodable(opener)
            raise UserError(f"{name} is not a CSV in UTF-8: {detail}. Save it as UTF-8.") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
            detail = _irregular(opener, encoding, separator) or str(error).strip()
            raise _IrregularError(f"{name} is not a valid CSV: {detail}. Fix it.") from None


def _double_quotes(opener: Opener, name: str) -> bytes:
    """The file in UTF-8, with the quotes inside quoted fields doubled."""
    encoding, separator = _dialect(opener, name)
    end = rf"(?=[{re.escape(separator)}\r\n]|\Z)"  # of a field
    field = rf'(?<![^{re.escape(separator)}\r\n])"((?:[^"\r\n]|""|"(?!{end}))*)"{end}'

    def double(match: re.Match[str]) -> str:
        content = match[1].replace('""', '"').replace('"', '""')
        return f'"{content}"'

    with opener() as stream:
        text = stream.read().decode(encoding)
    return re.sub(field, double, text).encode()


def _dialect(opener: Opener, name: str) -> tuple[str, str]:
    """Return the encoding and the separator."""
    with opener() as stream:
        head = stream.read(HEAD_BYTES)
    encoding = "utf-16" if head.startswith(UTF16_MARKS) else "utf-8-sig"
    if b"\0" in head and encoding != "utf-16":
        raise UserError(
            f"{name} is not a CSV in UTF-8: it contains NUL bytes (is it a binary file?). Save it "
            "as UTF-8."
        )
    with opener() as stream:
        lines = io.TextIOWrapper(stream, encoding, errors="replace")
        first = list(islice((line for line in lines if line.strip()), 2))
    if not first:
        raise UserError(f"{name} is not a valid CSV: it is empty. Restore it.")
    return encoding, _separator(first)


def _separator(lines: list[str]) -> str:
    """The separator in the header, preferably one that the next row has as often."""
    unquoted = [re.sub('"[^"]*"', "", line) for line in lines]

    def likelihood(separator: str) -> tuple[bool, bool, int]:
        counts = [line.count(separator) for line in unquoted]
        return counts[0] > 0, len(set(counts)) == 1, counts[0]

    return max(SEPARATORS, key=likelihood)


def _undecodable(opener: Opener) -> str:
    """Describe the first byte that is not valid UTF-8."""
    with opener() as stream:
        for row, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"row {row}, byte {error.start + 1} is 0x{line[error.start]:02X}"
    return "it is truncated"


def _irregular(opener: Opener, encoding: str, separator: str) -> str:
    """Describe the first row with more fields than the header, or with an unclosed quote."""
    for strict in (False, True):
        with opener() as stream:
            text = io.TextIOWrapper(stream, encoding, newline="")
            rows = filter(None, csv.reader(text, delimiter=separator, strict=strict))
            width, row = 0, 0
            try:
                for row, fields in enumerate(rows, start=1):
                    width = width or len(fields)
                    if len(fields) > width:
                        return f"row {row} has {len(fields)} fields, the header has {width}"
            except csv.Error as error:
                return f"row {row + 1}: {error} (a quote may not be closed)"
    return ""
