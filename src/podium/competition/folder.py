"""A competition's files where they lie unpacked, as on Kaggle's machines."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from podium.competition import zips
from podium.competition.archive import Archive
from podium.core import files
from podium.core.errors import UserError


class Folder(Archive):
    """Reads files out of a folder as out of an archive, and sees through zip archives in it."""

    def __init__(self, path: Path) -> None:
        """Look through the folder at `path`.

        Raises:
            UserError: if there is none, or an archive in it is refused (see `Archive`).
        """
        # Not super().__init__(), which opens a zip: finding and reading tables is what is shared.
        if not path.is_dir():
            raise UserError(f"there is no folder {path}")
        self.path, self._title = path, str(path)
        self._files: dict[str, Path] = {}
        self._inside: dict[str, tuple[Archive, str]] = {}
        for base, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(base, name)
                place = file.relative_to(path).as_posix()
                if not zips.RESOURCE_FORK.match(place):
                    self._files[place] = file
        for place in [place for place in self._files if place.lower().endswith(".zip")]:
            archive = Archive(self._files.pop(place))
            for name in archive.names:
                self._inside[f"{place[: -len('.zip')]}/{name}"] = archive, name
        self.names = [*self._files, *(self._inside.keys() - self._files.keys())]

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises: UserError: if it is not there or cannot be read."""
        try:
            with self.open(name) as file:
                return file.read()
        except zips.READ_ERRORS as error:
            raise self._unreadable(name, error) from None

    def open(self, name: str) -> IO[bytes]:
        """One file, to be read bit by bit. Raises: UserError: if it cannot be opened."""
        try:
            if name in self._files:
                return self._files[name].open("rb")
            archive, inside = self._inside[name]
        except KeyError:
            raise UserError(f"{self.path} holds no {name}") from None
        except OSError as error:
            raise self._unreadable(name, error) from None
        return archive.open(inside)

    def pack(self, names: Sequence[str], target: Path) -> None:
        """Write the files `names` into an archive at `target`, as they are.

        Raises:
            UserError: if one cannot be read, or the disk is full.
        """
        with (
            files.atomic(target) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as output,
        ):
            for name in names:
                output.writestr(zipfile.ZipInfo(name), self.read(name))
