"""Zip archives: what is refused of them before anything is read, and archives within archives."""

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from podium.core import files
from podium.core.errors import UserError, examples

MOST_UNPACKED = 64 * 2**20  # bytes; what unpacks to more is held against `MOST_TIMES`
MOST_TIMES = 500  # its size; the pixels and tables of competitions shrink by far less
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, and how long name and extra fields are
UTF8_NAME, ENCRYPTED = 0x800, 0x1  # of an entry's flags
OUTSIDE = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|$)")
RESOURCE_FORK = re.compile(r"(.*/)?(__MACOSX/|\._)")  # what macOS packs beside each file
CHUNK = 2**20  # bytes
READ_ERRORS = (  # of what is damaged (its names too), encrypted, or packed in another way
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, RuntimeError, UnicodeDecodeError,
)  # fmt: skip


class Slice(io.RawIOBase):
    """A part of a file, as a file that can be read: going to any place of it takes no reading."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        """The `size` bytes of `path` from `start`."""
        self._file, self._start, self._size, self._at = path.open("rb"), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, counted from the start, from here, or from the end of the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a place before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the part goes; gives the number of bytes."""
        view = memoryview(buffer)[: max(0, self._size - self._at)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def unpacking(folder: Path) -> Iterator[Path]:
    """A folder for what has to be unpacked in passing; it goes away with all that it holds."""
    files.remove(folder)
    try:
        yield folder
    finally:
        files.remove(folder)


def open_zip(file: Path | Slice, title: str) -> zipfile.ZipFile:
    """Open a zip archive that messages call `title`.

    Raises:
        UserError: if it is none, or a broken one.
    """
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise UserError(f"{title} cannot be opened as a zip archive: {error}") from None


def entries(opened: zipfile.ZipFile, title: str) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their names, with `/` between folders.

    Raises:
        UserError: naming the entries that would be written outside of the folder that the archive
            is unpacked in, that are encrypted, or that are decompression bombs.
    """
    named = [(_name(entry), entry) for entry in opened.infolist()]
    if outside := [entry.filename for name, entry in named if OUTSIDE.match(name)]:
        raise UserError(
            f"{title} is not safe to unpack: {len(outside)} of its {len(named)} entries would be "
            f"written outside of its folder: {examples(outside)}; pack it anew without them"
        )
    if locked := [name for name, entry in named if entry.flag_bits & ENCRYPTED]:
        raise UserError(
            f"{title} is not a zip archive that can be read: {len(locked)} of its {len(named)} "
            f"entries are encrypted: {examples(locked)}; unpack it with its password, and pack it "
            "anew without one"
        )
    _refuse_bombs(named, title, opened.start_dir)
    return {
        name: entry
        for name, entry in named
        if not name.endswith("/") and not RESOURCE_FORK.match(name)
    }


def _name(entry: zipfile.ZipInfo) -> str:
    r"""As on Linux: archives made on Windows may have `\` in their names, and archives made on
    macOS names in UTF-8 that they do not call so.
    """
    name = entry.filename
    if not (entry.flag_bits & UTF8_NAME or name.isascii()):
        with suppress(UnicodeError):  # then it is what it says
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _refuse_bombs(named: list[tuple[str, zipfile.ZipInfo]], title: str, size: int) -> None:
    """`size`: the bytes of all entries, which may overlap so that one is unpacked many times."""
    bombs = [
        f"{name} ({entry.compress_size:,} bytes, unpacked {entry.file_size:,})"
        for name, entry in named
        if entry.file_size > max(MOST_UNPACKED, MOST_TIMES * entry.compress_size)
    ]
    total = sum(entry.file_size for _, entry in named)
    if not bombs and total > max(MOST_UNPACKED, MOST_TIMES * size):
        bombs = [f"all of them ({size:,} bytes, unpacked {total:,})"]
    if bombs:
        raise UserError(
            f"{title} is not safe to unpack: entries would unpack to more than {MOST_TIMES} "
            f"times their size: {examples(bombs)}; if they are what they "
            "should be, unpack it yourself and name the folder in competition.source"
        )


def open_stored(outer: Path, entry: zipfile.ZipInfo, title: str) -> zipfile.ZipFile:
    """Open the archive that is an uncompressed entry of the archive at `outer`, in place.

    Raises:
        UserError: if it is no zip archive, or a broken one.
    """
    return open_zip(Slice(outer, _start(outer, entry, title), entry.file_size), title)


def open_compressed(
    entry: zipfile.ZipInfo, outer: zipfile.ZipFile, scratch: Path, title: str
) -> zipfile.ZipFile:
    """Open the archive that is a compressed entry of the archive `outer`: unpacked to the folder
    `scratch`, unless it is there already.

    Raises:
        UserError: if it is no zip archive, or damaged, or the disk is full.
    """
    path = scratch / f"{entry.header_offset}-{entry.CRC:08x}-{entry.file_size}.zip"
    if not path.exists():
        with files.atomic(path, size=entry.file_size) as temporary, temporary.open("wb") as target:
            target.writelines(_blocks(outer, entry, title))
    return open_zip(path, title)


def _blocks(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, title: str) -> Iterator[bytes]:
    try:
        with opened.open(entry) as source:
            while block := source.read(CHUNK):
                yield block
    except READ_ERRORS as error:
        raise UserError(f"{title} cannot be read: {error}") from None


def _start(outer: Path, entry: zipfile.ZipInfo, title: str) -> int:
    """The place in the archive at `outer` where the bytes of a stored entry begin."""
    with outer.open("rb") as file:
        file.seek(entry.header_offset)
        header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise UserError(f"{title} cannot be read: its header is damaged")
    _, name, extra = LOCAL_HEADER.unpack(header)
    return entry.header_offset + LOCAL_HEADER.size + int(name) + int(extra)
