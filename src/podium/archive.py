"""A competition's archive: a zip that is read in place, never unpacked."""

import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from podium import csvs
from podium.errors import UserError, examples

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}


class Archive:
    """Reads files out of a zip archive; every read is checked against the zip's CRC."""

    def __init__(self, path: Path) -> None:
        """Open the archive at `path`.

        Raises:
            UserError: if it is not a zip archive, or a broken one.
        """
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
            raise UserError(f"{path} cannot be opened as a zip archive: {error}") from None
        self.names = [entry.filename for entry in self._zip.infolist() if not entry.is_dir()]

    def read(self, name: str) -> bytes:
        """The bytes of one file of the archive.

        Raises:
            UserError: if the archive lacks it or holds it damaged.
        """
        try:
            return self._zip.read(name)
        except KeyError:
            raise UserError(f"{self.path} holds no {name}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise UserError(f"{name} in {self.path} cannot be read: {error}") from None

    def find(self, name: str) -> str:
        """The full name of the file called `name`, wherever in the archive it lies.

        Raises:
            UserError: if there is no such file, or several and none at the top.
        """
        found = [entry for entry in self.names if entry == name or entry.endswith("/" + name)]
        if name in found:
            return name
        if len(found) == 1:
            return found[0]
        tables = [entry for entry in self.names if entry.endswith(".csv")]
        raise UserError(
            f"{name} is {len(found)} times in {self.path}: {examples(found)}"
            if found
            else f"{self.path} holds no {name}; its CSV files: {examples(tables) or 'none'}"
        )

    def read_csv(self, name: str) -> pd.DataFrame:
        """A CSV file of the archive, every value as the text it is: [rows, columns].

        Raises:
            UserError: if it is missing or cannot be parsed.
        """
        name = self.find(name)
        try:
            return csvs.parse(self.read(name))
        except csvs.ERRORS as error:
            raise UserError(f"{name} in {self.path} is not a CSV in UTF-8: {error}") from None


def match_images(names: list[str], ids: list[str], *, folder: str) -> list[str]:
    """The archive's file for each image id: [len(ids)].

    An id is a file's name or path, with or without its extension, in `folder` or below it; the
    path may begin anywhere ("a.jpg", "cats/a", "train/cats/a.jpg").

    Raises:
        UserError: with the number and the first few of the ids that no file or several files match.
    """
    by_tail: dict[str, list[str]] = defaultdict(list)
    prefix = f"/{folder.strip('/')}/" if folder.strip("/") else "/"
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in IMAGE_SUFFIXES and prefix in "/" + name:
            for tail in (*_tails(path), *_tails(path.with_suffix(""))):
                by_tail[tail].append(name)
    matches = [_closest(by_tail.get(image.strip("/"), []), image) for image in ids]
    missing = [image for image, found in zip(ids, matches, strict=True) if not found]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(ids)} images that the CSV names are not in the archive's "
            f"folder {folder or '(all)'}: {examples(missing)}"
        )
    several = {image: found for image, found in zip(ids, matches, strict=True) if len(found) > 1}
    if several:
        image, found = next(iter(several.items()))
        raise UserError(
            f"{len(several)} ids match several files each, as {image}: {examples(found)}; "
            "name a narrower folder in prepare.train_images or prepare.test_images"
        )
    return [found[0] for found in matches]


def _tails(path: PurePosixPath) -> Iterator[str]:
    """All that a path can be called: "c", "b/c", "a/b/c"."""
    for start in range(len(path.parts)):
        yield "/".join(path.parts[start:])


def _closest(found: list[str], image: str) -> list[str]:
    """Those of `found` that `image` names with their extension, if there are any."""
    whole = [name for name in found if name.endswith(image.strip("/"))]
    return whole or found
