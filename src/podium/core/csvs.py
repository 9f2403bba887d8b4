"""CSV files whose values stay the text that they are."""

import codecs
import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import pandas as pd

from podium.core.errors import UserError

PARSE_ERRORS = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeError,
)
SEPARATORS = (",", ";", "\t", "|")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
HEAD_BYTES = 4096  # bytes in which zero bytes are looked for

Opener = Callable[[], IO[bytes]]  # gives the file's bytes anew
T = TypeVar("T")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    encoding: str
    separator: str


def parse(data: bytes, *, name: str = "the CSV") -> pd.DataFrame:
    """A CSV as text: ids keep leading zeros, a class may be called "NA": [rows, columns].

    Raises:
        UserError: as of `table`.
    """
    return table(lambda: io.BytesIO(data), name)


def read(path: Path) -> pd.DataFrame:
    """A CSV file as text: [rows, columns].

    Raises:
        UserError: if it is not there or cannot be parsed.
    """
    try:
        return parse(path.read_bytes(), name=str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def table(opener: Opener, name: str, columns: list[str] | None = None) -> pd.DataFrame:
    """The CSV that `opener` opens, as text: [rows, columns]; of `columns` only, where given.

    Fields are separated by what the header line says: comma, semicolon, tab or bar.

    Raises:
        UserError: if it is empty, neither UTF-8 nor UTF-16 with a byte order mark, or a row has
            more fields than the header; with the file's `name` and the row, the header being row 1.
    """
    dialect = _dialect(opener, name)
    with opener() as stream:
        return _checked(lambda: _read(stream, dialect, columns, dtype=str), opener, dialect, name)


def header(opener: Opener, name: str) -> list[str]:
    """The columns of the CSV that `opener` opens, read from its first line alone.

    Raises:
        UserError: if it has none, as of `table`.
    """
    dialect = _dialect(opener, name)
    with opener() as stream:
        read = _checked(lambda: _read(stream, dialect, dtype=str, nrows=0), opener, dialect, name)
    return [str(column) for column in read.columns]


def chunks(opener: Opener, name: str, rows: int) -> Iterator[pd.DataFrame]:
    """The CSV that `opener` opens, `rows` at a time: numbers as numbers, all else as text.

    Raises:
        UserError: as of `table`.
    """
    dialect = _dialect(opener, name)
    with opener() as stream:
        reader = _checked(
            lambda: _read(stream, dialect, chunksize=rows, low_memory=False), opener, dialect, name
        )
        while (chunk := _checked(lambda: next(reader, None), opener, dialect, name)) is not None:
            yield chunk


def _read(
    stream: IO[bytes], dialect: Dialect, columns: list[str] | None = None, **options: Any
) -> Any:
    return pd.read_csv(
        stream,
        sep=dialect.separator,
        encoding=dialect.encoding,
        usecols=columns,
        keep_default_na=False,
        index_col=False,
        **options,
    )


def _checked(work: Callable[[], T], opener: Opener, dialect: Dialect, name: str) -> T:
    """What `work` gives; an error of its says where in the file."""
    try:
        with warnings.catch_warnings():  # values beyond the header would be dropped with a warning
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return work()
    except UnicodeError as error:
        place = _undecodable(opener) if dialect.encoding != "utf-16" else str(error)
        raise UserError(f"{name} is not a CSV in UTF-8: {place}; save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{name} is not a CSV: it is empty") from None
    except PARSE_ERRORS as error:
        place = _irregular(opener, dialect) or str(error).strip()
        raise UserError(f"{name} is not a CSV: {place}") from None


def _dialect(opener: Opener, name: str) -> Dialect:
    with opener() as stream:
        head = stream.read(HEAD_BYTES)
    utf16 = head.startswith(UTF16)
    if b"\0" in head and not utf16:
        raise UserError(
            f"{name} is not a CSV in UTF-8: it holds zero bytes: is it of another kind? "
            "save it as UTF-8"
        )
    encoding = "utf-16" if utf16 else "utf-8-sig"
    with opener() as stream:
        lines = io.TextIOWrapper(stream, encoding, errors="replace")
        first = list(islice((line for line in lines if line.strip()), 2))
    if not first:
        raise UserError(f"{name} is not a CSV: it is empty")
    return Dialect(encoding, _separator(first))


def _separator(lines: list[str]) -> str:
    """What separates the header's fields; of several that could, what the row below it has too."""
    counts = [
        [re.sub('"[^"]*"', "", line).count(separator) for line in lines] for separator in SEPARATORS
    ]

    def likely(place: int) -> tuple[bool, bool, int]:
        times = counts[place]
        return times[0] > 0, len(set(times)) == 1, times[0]

    return SEPARATORS[max(range(len(SEPARATORS)), key=likely)]


def _undecodable(opener: Opener) -> str:
    """The first place that is not UTF-8."""
    with opener() as stream:
        for row, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"row {row}, byte {error.start + 1} is 0x{line[error.start]:02X}"
    return "its end is cut off"


def _irregular(opener: Opener, dialect: Dialect) -> str:
    """The first row with more fields than the header, else that which opens a quote for good."""
    for strict in (False, True):
        with opener() as stream:
            text = io.TextIOWrapper(stream, dialect.encoding, newline="")
            rows = csv.reader(text, delimiter=dialect.separator, strict=strict)
            wide, row = 0, 0
            try:
                for row, fields in enumerate((fields for fields in rows if fields), start=1):
                    wide = wide or len(fields)
                    if len(fields) > wide:
                        return f"row {row} has {len(fields)} fields, the header has {wide}"
            except csv.Error as error:
                return f"row {row + 1}: {error}: a quote may be opened there and not closed"
    return ""
