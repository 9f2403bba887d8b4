"""Read files from the competition's zip archive, and from zip archives inside it, in place."""

import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import pandas as pd

from podium.competition import zips
from podium.competition.names import nfc
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
        self.path = path
        self._title = title or str(path)
        self._scratch = scratch
        self._entries: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]] = {}
        outer = zips.open_zip(path, self._title)
        inner: dict[str, zipfile.ZipInfo] = {}
        for name, entry in zips.entries(outer, self._title).items():
            if name.lower().endswith(".zip"):
                inner[name] = entry
            else:
                self._entries[name] = outer, entry
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
        for inner_name, inner_entry in zips.entries(opened, title).items():
            self._entries.setdefault(f"{name[: -len('.zip')]}/{inner_name}", (opened, inner_entry))

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
        for opened in {id(opened): opened for opened, _ in self._entries.values()}.values():
            opened.close()

    def read(self, name: str) -> bytes:
        """Read one file.

        Raises:
            UserError: if it is missing or damaged.
        """
        opened, entry = self._entry(name)
        try:
            return opened.read(entry)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def open(self, name: str) -> IO[bytes]:
        """Open one file for reading in parts.

        Raises:
            UserError: if it is missing or cannot be opened. Reading it raises one of
                `zips.READ_ERRORS` where it is damaged.
        """
        opened, entry = self._entry(name)
        try:
            return opened.open(entry)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def find(self, name: str) -> str:
        """Find the full name of the file `name`, in any folder.

        Raises:
            UserError: if there is no such file, or several and none at the top.
        """
        full_names = {nfc(entry): entry for entry in self.names}
        name = nfc(name)
        if name in full_names:
            return full_names[name]
        matches = [entry for entry in full_names if entry.endswith("/" + name)]
        if len(matches) == 1:
            return full_names[matches[0]]
        if matches:
            raise UserError(
                f"{name} is ambiguous: found {len(matches)} in {self.path}: {examples(matches)}"
            )
        tables = [entry for entry in self.names if entry.lower().endswith(".csv")]
        raise UserError(
            f"{name} not found in {self.path} (CSV files: {examples(tables) or 'none'})"
        )

    def read_csv(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a CSV file as text: [rows, columns]; only `columns`, if given.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            return csvs.table(lambda: self.open(name), self._full_title(name), columns)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def header(self, name: str) -> list[str]:
        """Read the column names of a CSV file, and nothing else of it.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            return csvs.header(lambda: self.open(name), self._full_title(name))
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def csv_chunks(self, name: str, rows: int) -> Iterator[pd.DataFrame]:
        """Read a CSV file, `rows` at a time: numbers as numbers, everything else as text.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            yield from csvs.chunks(lambda: self.open(name), self._full_title(name), rows)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def _entry(self, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        try:
            return self._entries[name]
        except KeyError:
            raise UserError(f"{name} not found in {self.path}") from None

    def _full_title(self, name: str) -> str:
        return f"{name} in {self._title}"

    def _unreadable(self, name: str, error: Exception) -> UserError:
        return UserError(f"cannot read {self._full_title(name)}: {error}")
