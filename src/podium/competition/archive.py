"""Read files from the competition's zip archive, and from zip archives inside it, in place."""

import io
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

import pandas as pd

from podium.competition import json_tables, zips
from podium.competition.text.names import nfc
from podium.core import csvs
from podium.core.errors import UserError, examples


class Archive:
    """Random access to the files of a zip archive; every read verifies the CRC.

    A zip archive inside it is a folder, one level deep: `1.jpg` in `train.zip` is `train/1.jpg`.
    Inner archives that are stored are read in place; a compressed one is unpacked once.
    """

    def __init__(self, path: Path, scratch: Path | None = None, *, title: str = "") -> None:
        """Open the archive at `path`, called `title` in messages. A compressed inner archive is
        unpacked to the folder `scratch`, unless it is there already (None: to a temporary folder,
        deleted with this object).

        Raises:
            UserError: if it or an inner archive is not a zip archive, or is damaged, or contains
                encrypted entries, a decompression bomb, or paths outside its folder.
        """
        self.path, self._title, self._scratch = path, title or str(path), scratch
        outer = zips.open_zip(path, self._title)
        entries = zips.entries(outer, self._title)
        inner = {name: entry for name, entry in entries.items() if name.lower().endswith(".zip")}
        self._opened = [outer]
        self._entries: dict[str, tuple[Callable[[Any], IO[bytes]], Any]] = {
            name: (outer.open, entry) for name, entry in entries.items() if name not in inner
        }
        for name, entry in inner.items():
            self._add_inner(name, entry, outer)
        self.names = list(self._entries)
        self.unpacked = any(i.compress_type != zipfile.ZIP_STORED for i in inner.values())

    def _add_inner(self, name: str, entry: zipfile.ZipInfo, outer: zipfile.ZipFile) -> None:
        """Add the files of an inner archive, unless the outer one has a file of that name."""
        title = f"{name} in {self._title}"
        if entry.compress_type == zipfile.ZIP_STORED:
            opened = zips.open_stored(self.path, entry, title)
        else:
            opened = zips.open_compressed(entry, outer, self.scratch, title)
        self._opened.append(opened)
        for inner_name, inner_entry in zips.entries(opened, title).items():
            full_name = f"{name[: -len('.zip')]}/{inner_name}"
            self._entries.setdefault(full_name, (opened.open, inner_entry))

    @cached_property
    def _converted(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def _heads(self) -> dict[str, bytes]:
        return {}

    @property
    def scratch(self) -> Path:
        """The folder for unpacked inner archives."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="podium-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files: Windows cannot delete an open one."""
        for opened in self._opened:
            opened.close()

    def open(self, name: str) -> IO[bytes]:
        """Open one file for reading in parts.

        Raises:
            UserError: if it is missing or cannot be opened. Reading it raises one of
                `zips.READ_ERRORS` if it is damaged.
        """
        if name not in self._entries:
            raise UserError(f"{name} not found in {self.path}. Restore it.")
        opener, entry = self._entries[name]
        with zips.reporting(self._full_title(name)):
            return opener(entry)

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a file, at most `size`; none if it cannot be read."""
        if name not in self._heads:
            self._heads[name] = b""
            with suppress(UserError, *zips.READ_ERRORS), self.open(name) as file:
                self._heads[name] = file.read(size)
        return self._heads[name]

    def read(self, name: str) -> bytes:
        """Read one file.

        Raises:
            UserError: if it is missing or damaged.
        """
        with zips.reporting(self._full_title(name)), self.open(name) as file:
            return file.read()

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
            raise UserError(
                f"{name} not found in {self.path} (CSV files: {examples(tables) or 'none'})"
            )
        return full_names[matches[0]]

    def read_csv(
        self, name: str, columns: list[str] | None = None, *, own_names: bool = False
    ) -> pd.DataFrame:
        """Read a CSV file, or a table in JSON (`json_tables`), as text; only `columns`, if given.
        `own_names`: see `csvs.table`.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        title = self._full_title(name := self.find(name))
        with zips.reporting(title):
            opener = self._table_opener(name)
            return csvs.table(opener, title, columns, own_names=own_names)

    def header(self, name: str, *, own_names: bool = False) -> list[str]:
        """Read the column names of a CSV file only; raises as `read_csv` does."""
        title = self._full_title(name := self.find(name))
        with zips.reporting(title):
            return csvs.header(self._table_opener(name), title, own_names=own_names)

    def csv_chunks(self, name: str, rows: int) -> Iterator[pd.DataFrame]:
        """Read a CSV file, `rows` at a time, with numbers as numbers; raises as `read_csv` does."""
        title = self._full_title(name := self.find(name))
        with zips.reporting(title):
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

    def _full_title(self, name: str) -> str:
        return f"{name} in {self._title}"
