"""Unpack 7z archives safely."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from podium.competition import zips
from podium.competition.source import Source
from podium.competition.text.names import is_hidden
from podium.core.errors import UserError


def entries(
    source: Source, _: str, folder: Path, title: str, limit: int
) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """The files of a 7z archive, unpacked to `folder` first: at most `limit` bytes."""
    try:
        import py7zr
    except ImportError:
        raise UserError(f"{title} cannot be read without the package py7zr. Unpack it.") from None
    with zips.unpacking(folder):
        try:
            with py7zr.SevenZipFile(source.open(), max_extract_size=limit) as archive:
                _check(archive, limit, title)
                archive.extractall(folder)
        except py7zr.exceptions.PasswordRequired:  # even to list the files
            raise _encrypted(title) from None
        except py7zr.exceptions.DecompressionBombError:
            raise UserError(zips.bomb_message(title, [])) from None
        except (py7zr.exceptions.ArchiveError, zlib.error, EOFError) as error:
            reason = str(error) or type(error).__name__
            raise ValueError(reason) from None
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if not is_hidden(name := path.relative_to(folder).as_posix()):
                yield name, lambda path=path: path.open("rb")  # type: ignore[misc]
            path.unlink()


def _check(archive: Any, limit: int, title: str) -> None:
    if archive.needs_password():
        raise _encrypted(title)
    listed = archive.list()
    if outside := [entry.filename for entry in listed if zips.OUTSIDE.match(entry.filename)]:
        raise UserError(zips.outside_message(title, outside))
    if links := [entry.filename for entry in listed if entry.is_symlink]:
        raise UserError(zips.links_message(title, links))
    if sum(entry.uncompressed for entry in listed) > limit:
        raise UserError(zips.bomb_message(title, []))


def _encrypted(title: str) -> zips.EncryptedError:
    problem = "it is encrypted. Repack it without a password"
    return zips.EncryptedError(f"{title} is not a readable archive: {problem}.")
