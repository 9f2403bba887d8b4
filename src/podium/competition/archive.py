"""Read files from the competition's archive, and from archives and container files inside it."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

import pandas as pd

from podium.competition import json_tables, zips
from podium.competition.contents import Contents
from podium.competition.source import Source
from podium.competition.text.names import nfc
from podium.core import csvs
from podium.core.errors import UserError, examples


class Archive(Contents):
    """Random access to the files of a zip archive; every read verifies the CRC.

    An archive inside it is a folder: `1.jpg` in `train.zip` is `train/1.jpg`. One that is encrypted
    is `skipped`.
    So are container files (`containers`): `train/1.jpg` is in `train.hdf5`, whose other values are
    `train.csv`. Uncompressed entries are read in place, compressed ones are unpacked once.
    """

    def __init__(
        self,
        path: Path,
        scratch: Path | None = None,
        *,
        title: str = "",
        used: Sequence[str] | None = None,
    ) -> None:
        """Open the archive at `path`, called `title` in messages. A compressed inner archive is
        unpacked to the folder `scratch`, unless it is there already (None: to a temporary folder,
        deleted with this object). Container files are opened only if their contents are in the
        folders or tables `used` (None: all), since unpacking takes time.

        Raises:
            UserError: if it or an inner archive is not a zip archive, or is damaged, or contains
                encrypted entries, a decompression bomb, or paths outside its folder.
        """
        self.path, self._title, self._scratch = path, title or str(path), scratch
        source = Source.of(path) if path.is_file() else Source(path, 0, 0)  # reported below
        self._start(source.size)
        self._add_zip(source, self._title, self._budget)
        self._finish(used)

    @cached_property
    def _converted(self) -> dict[str, bytes]:
        return {}

    def find(self, name: str) -> str:
        """Find the full name of the file `name`, in any folder.

        Raises:
            UserError: if there is no such file, or several and none at the top.
        """
        full_names = {nfc(entry): entry for entry in self.names}
        name = nfc(name)
        matches = [entry for entry in full_names if entry.endswith("/" + name)]
        if name in full_names:
            matches = [name]
        if len(matches) > 1:
            raise UserError(
                f"{name} is ambiguous: found {len(matches)} in {self.path} ({examples(matches)})"
            )
        if not matches:
            tables = [entry for entry in self.names if entry.lower().endswith(".csv")]
            problems = [problem.removesuffix(".") for problem in self.skipped]
            raise UserError(
                f"{name} not found in {self.path} (CSV files: {examples(tables) or 'none'}"
                f"{f'; not read: {examples(problems)}' if problems else ''})"
            )
        return full_names[matches[0]]

    def read_csv(
        self, name: str, columns: list[str] | None = None, *, own_names: bool = False
    ) -> pd.DataFrame:
        """Read a CSV or Parquet file, or a table in JSON (`json_tables`), as text; if given, only
        `columns`.
        `own_names`: see `csvs.table`.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        title = self._full_title(name := self.find(name))
        with zips.reporting(title):
            if name in self._parquet:
                return self._parquet[name].text(columns)
            opener = self._table_opener(name)
            return csvs.table(opener, title, columns, own_names=own_names)

    def header(self, name: str, *, own_names: bool = False) -> list[str]:
        """Read the column names of a CSV file only; raises as `read_csv` does."""
        title = self._full_title(name := self.find(name))
        with zips.reporting(title):
            if name in self._parquet:
                return self._parquet[name].header
            return csvs.header(self._table_opener(name), title, own_names=own_names)

    def csv_chunks(self, name: str, rows: int) -> Iterator[pd.DataFrame]:
        """Read a CSV file, `rows` at a time, with numbers as numbers; raises as `read_csv` does."""
        title = self._full_title(name := self.find(name))
        with zips.reporting(title):
            if name in self._parquet:
                yield self._parquet[name].text().head(rows)
                return
            yield from csvs.chunks(self._table_opener(name), title, rows)

    def _table_opener(self, name: str) -> Callable[[], IO[bytes]]:
        """Opens a table as CSV: one in JSON is converted, once."""
        if not name.lower().endswith(".json"):
            return lambda: self.open(name)
        if name not in self._converted:
            self._converted[name] = json_tables.to_csv(
                self.read(name), title=self._full_title(name)
            )
        return lambda: io.BytesIO(self._converted[name])
