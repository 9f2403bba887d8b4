"""Read a competition's unpacked files, as on Kaggle's machines."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from podium.competition.archive import Archive
from podium.competition.tree import list_files
from podium.core import files
from podium.core.errors import UserError


class Folder(Archive):
    """Reads files from a folder, and from zip archives in it, as `Archive` does from a zip."""

    def __init__(self, path: Path) -> None:
        """List the folder at `path`.

        Raises:
            UserError: if it does not exist, or a link (see `list_files`) or an archive in it is
                refused (see `Archive`).
        """
        # Not super().__init__(), which opens a zip: only the reading of tables is shared.
        if not path.is_dir():
            raise UserError(f"folder {path} not found. Restore it.")
        self.path, self._title = path, str(path)
        self._entries = {name: (_open, file) for name, file in list_files(path).items()}
        for relative in [name for name in self._entries if name.lower().endswith(".zip")]:
            _, file = self._entries.pop(relative)
            archive = Archive(file)
            for name in archive.names:
                full_name = f"{relative[: -len('.zip')]}/{name}"
                self._entries.setdefault(full_name, (archive.open, name))
        self.names = list(self._entries)

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


def _open(file: Path) -> IO[bytes]:
    return file.open("rb")
