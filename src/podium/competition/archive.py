"""A competition's archive: a zip that is read in place, never unpacked; archives in it likewise."""

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
    """Reads files out of a zip archive; every read is checked against the zip's CRC.

    Zip archives in it are seen through, one level deep: `train.zip` with `1.jpg` in it is
    `train/1.jpg`. Those that are stored are read in place; a compressed one is unpacked once.
    """

    def __init__(self, path: Path, scratch: Path | None = None, *, title: str = "") -> None:
        """Open the archive at `path`, which messages call `title`. A compressed archive in it is
        unpacked to the folder `scratch`, or found there; None: to a temporary one that goes with
        this object.

        Raises:
            UserError: if it, or an archive in it, is no zip archive, a broken one, holds encrypted
                entries, a decompression bomb, or entries that would be written outside its folder.
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
            self._look_into(name, entry, outer)
        self.names = list(self._entries)
        self.unpacked = any(i.compress_type != zipfile.ZIP_STORED for i in inner.values())

    def _look_into(self, name: str, entry: zipfile.ZipInfo, outer: zipfile.ZipFile) -> None:
        """Add the files of an archive in the archive; one that lies there unpacked goes before."""
        title = f"{name} in {self._title}"
        if entry.compress_type == zipfile.ZIP_STORED:
            opened = zips.open_stored(self.path, entry, title)
        else:
            opened = zips.open_compressed(entry, outer, self.scratch, title)
        for inside, found in zips.entries(opened, title).items():
            self._entries.setdefault(f"{name[: -len('.zip')]}/{inside}", (opened, found))

    @property
    def scratch(self) -> Path:
        """The folder for archives in this archive that have to be unpacked."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="podium-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files: some systems remove none that is open."""
        for opened in {id(opened): opened for opened, _ in self._entries.values()}.values():
            opened.close()

    def read(self, name: str) -> bytes:
        """The bytes of one file of the archive.

        Raises:
            UserError: if the archive lacks it or holds it damaged.
        """
        opened, entry = self._entry(name)
        try:
            return opened.read(entry)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def open(self, name: str) -> IO[bytes]:
        """One file of the archive, to be read bit by bit.

        Raises:
            UserError: if the archive lacks it or it cannot be opened. Reading on raises one of
                `nested.READ_ERRORS` where it is damaged.
        """
        opened, entry = self._entry(name)
        try:
            return opened.open(entry)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def find(self, name: str) -> str:
        """The full name of the file called `name`, wherever in the archive it lies.

        Raises:
            UserError: if there is no such file, or several and none at the top.
        """
        wanted = nfc(name)
        plain = {nfc(entry): entry for entry in self.names}
        found = [entry for entry in plain if entry == wanted or entry.endswith("/" + wanted)]
        if wanted in found:
            return plain[wanted]
        if len(found) == 1:
            return plain[found[0]]
        tables = [entry for entry in self.names if entry.lower().endswith(".csv")]
        raise UserError(
            f"{name} is {len(found)} times in {self.path}: {examples(found)}"
            if found
            else f"{self.path} holds no {name}; its CSV files: {examples(tables) or 'none'}"
        )

    def read_csv(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        """A CSV file of the archive, every value as the text it is: [rows, columns]; of `columns`
        only, where given.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            return csvs.table(lambda: self.open(name), self._called(name), columns)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def header(self, name: str) -> list[str]:
        """The columns of a CSV file, without reading all of it.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            return csvs.header(lambda: self.open(name), self._called(name))
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def csv_chunks(self, name: str, rows: int) -> Iterator[pd.DataFrame]:
        """A CSV file, `rows` at a time: numbers as numbers, all else as text.

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            yield from csvs.chunks(lambda: self.open(name), self._called(name), rows)
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def _entry(self, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        try:
            return self._entries[name]
        except KeyError:
            raise UserError(f"{self.path} holds no {name}") from None

    def _called(self, name: str) -> str:
        return f"{name} in {self._title}"

    def _unreadable(self, name: str, error: Exception) -> UserError:
        return UserError(f"{self._called(name)} cannot be read: {error}")
