"""Read a competition's unpacked files, as on Kaggle's machines."""

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
    """Reads files from a folder, and from zip archives in it, as `Archive` does from a zip."""

    def __init__(self, path: Path) -> None:
        """List the folder at `path`.

        Raises:
            UserError: if it does not exist, or an archive in it is refused (see `Archive`).
        """
        # Not super().__init__(), which opens a zip: only the reading of tables is shared.
        if not path.is_dir():
            raise UserError(f"folder {path} not found")
        self.path, self._title = path, str(path)
        self._files: dict[str, Path] = {}
        self._inner: dict[str, tuple[Archive, str]] = {}
        for base, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(base, name)
                relative = file.relative_to(path).as_posix()
                if not zips.RESOURCE_FORK.match(relative):
                    self._files[relative] = file
        for relative in [name for name in self._files if name.lower().endswith(".zip")]:
            archive = Archive(self._files.pop(relative))
            for name in archive.names:
                self._inner[f"{relative[: -len('.zip')]}/{name}"] = archive, name
        self.names = list(self._files | self._inner)

    def open(self, name: str) -> IO[bytes]:
        """Open one file for reading in parts. Raises: UserError: if it cannot be opened."""
        if name in self._files:
            with zips.reporting(self._full_title(name)):
                return self._files[name].open("rb")
        if name not in self._inner:
            raise UserError(f"{name} not found in {self.path}")
        archive, inner_name = self._inner[name]
        return archive.open(inner_name)

    def pack(self, names: Sequence[str], target: Path) -> None:
        """Write the files `names` into an uncompressed zip archive at `target`.

        Raises:
            UserError: if one cannot be read, or the disk is full.
        """
        with (
            files.atomic(target) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as output,
        ):
            for name in names:
                output.writestr(zipfile.ZipInfo(name), self.read(name))
