"""Read a competition's unpacked files, as on Kaggle's machines."""

import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO

from podium.competition import packed
from podium.competition.archive import Archive
from podium.competition.source import Source
from podium.competition.tree import list_files
from podium.core import files
from podium.core.errors import UserError


class Folder(Archive):
    """Reads files from a folder, and from zip archives in it, as `Archive` does from a zip."""

    def __init__(self, path: Path, *, used: Sequence[str] | None = None) -> None:
        """List the folder at `path`. Archives that must be repacked, and files that contain images,
        are opened only if the folders or tables `used` are in them (None: all).

        Raises:
            UserError: if it does not exist, or a link (see `list_files`) or an archive in it is
                refused (see `Archive`).
        """
        # Not super().__init__(), which opens a zip: only the reading of tables is shared.
        if not path.is_dir():
            raise UserError(f"folder {path} not found. Restore it.")
        self.path, self._title, self._scratch = path, str(path), None
        found = list_files(path)
        sizes = {name: file.stat().st_size for name, file in found.items()}
        self._start(sum(sizes.values()))
        inner: dict[str, packed.Part] = {}
        for name, file in found.items():
            locate = partial(Source.of, file)
            if packed.is_archive(name):
                inner[name] = packed.Part(sizes[name], locate)
            else:
                self._add_file(name, sizes[name], (_open, file), locate)
        title = lambda name: str(found.get(name, path / name))  # noqa: E731
        self._add_archives(inner, title, self._budget, used)
        self._finish(used)

    def pack(self, names: Sequence[str], target: Path) -> None:
        """Write the files `names` into an uncompressed zip archive at `target`.

        Raises:
            UserError: if one cannot be read, or the disk is full.
        """
        with (
            files.atomic(target) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as output,
        ):
            for name in self.in_reading_order(names):
                output.writestr(zipfile.ZipInfo(name), self.read(name))


def _open(file: Path) -> IO[bytes]:
    return file.open("rb")
