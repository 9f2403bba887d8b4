"""Open zip archives, and files inside them, safely."""

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from podium.competition import entry_names
from podium.competition.source import FileSlice, Source
from podium.competition.text.names import is_hidden
from podium.core import files
from podium.core.errors import UserError, counted, examples

MAX_UNCHECKED_BYTES = 64 * 2**20  # larger content must not exceed MAX_RATIO
MAX_RATIO = 500  # unpacked to packed size; the images and tables of competitions stay far below
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field
ENCRYPTED = 0x1  # a flag of an entry
OUTSIDE = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|$)")
CHUNK_BYTES = 2**20
REPLACE = "Replace it with an intact copy."
READ_ERRORS = (  # raised for damaged (also in their names), encrypted or unsupported entries
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, RuntimeError, UnicodeDecodeError,
)  # fmt: skip


class EncryptedError(UserError):
    """An archive needs a password."""


class Budget:
    """How many bytes an archive may unpack to, including those inside it, whose ratios multiply."""

    def __init__(self, packed_bytes: int, outer: "Budget | None" = None) -> None:
        """`packed_bytes`: the size of the archive where it is: compressed, if it is an entry of
        another one, whose budget is `outer`.
        """
        self._left = max(MAX_UNCHECKED_BYTES, MAX_RATIO * packed_bytes)
        self._outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1

    @property
    def left(self) -> int:
        """The bytes that may still be unpacked."""
        return self._left if self._outer is None else min(self._left, self._outer.left)

    def spend(self, unpacked_bytes: int, title: str) -> None:
        """Count what the archive called `title` will unpack to.

        Raises:
            UserError: if it is too much.
        """
        if unpacked_bytes > self.left:
            raise UserError(bomb_message(title, []))
        self._left -= unpacked_bytes
        if self._outer is not None:
            self._outer.spend(unpacked_bytes, title)


@contextmanager
def reporting(title: str) -> Iterator[None]:
    """Raises: UserError: with the file's `title`, if reading it fails within the block."""
    try:
        yield
    except READ_ERRORS as error:
        raise UserError(f"cannot read {title}: {error}. {REPLACE}") from None


@contextmanager
def unpacking(folder: Path) -> Iterator[Path]:
    """A folder for temporarily unpacked files; it is removed before and after."""
    files.remove(folder)
    try:
        yield folder
    finally:
        files.remove(folder)


def open_zip(file: Path | FileSlice, title: str) -> zipfile.ZipFile:
    """Open a zip archive, called `title` in messages.

    Raises:
        UserError: if it is not a zip archive, or damaged.
    """
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise UserError(f"{title} is not a readable zip archive: {error}. {REPLACE}") from None


def entries(opened: zipfile.ZipFile, title: str) -> dict[str, zipfile.ZipInfo]:
    """List the files of an archive by name, with `/` between folders; without hidden ones.

    Raises:
        EncryptedError: if entries are encrypted.
        UserError: if they have paths outside the archive's folder, are symbolic links or
            decompression bombs.
    """
    listed = opened.infolist()
    named = [*zip(entry_names.decode(listed), listed, strict=True)]
    if outside := [entry.filename for name, entry in named if OUTSIDE.match(name)]:
        raise UserError(outside_message(title, outside, len(named)))
    if locked := [name for name, entry in named if entry.flag_bits & ENCRYPTED]:
        raise EncryptedError(
            f"{title} is not a readable zip archive: "
            f"{counted(len(locked), 'entry', 'is', of=len(named))} encrypted "
            f"({examples(locked)}). Repack it without a password."
        )
    _refuse_bombs(named, title, opened.start_dir)
    visible = {n: entry for n, entry in named if not n.endswith("/") and not is_hidden(n)}
    if links := [n for n, entry in visible.items() if stat.S_ISLNK(entry.external_attr >> 16)]:
        raise UserError(links_message(title, links))
    return visible


def _refuse_bombs(named: list[tuple[str, zipfile.ZipInfo]], title: str, size: int) -> None:
    """`size` is that of all entries: they may overlap, so that bytes are unpacked several times."""
    bombs = [
        f"{name} ({entry.compress_size:,} bytes, unpacked {entry.file_size:,})"
        for name, entry in named
        if entry.file_size > max(MAX_UNCHECKED_BYTES, MAX_RATIO * entry.compress_size)
    ]
    total = sum(entry.file_size for _, entry in named)
    if not bombs and total > max(MAX_UNCHECKED_BYTES, MAX_RATIO * size):
        bombs = [f"all of them ({size:,} bytes, unpacked {total:,})"]
    if bombs:
        raise UserError(bomb_message(title, bombs))


def outside_message(title: str, names: Sequence[str], count: int | None = None) -> str:
    """The error message for paths outside the archive's folder, among `count` entries."""
    shown = counted(len(names), "entry") if count is None else f"{len(names)} of {count} entries"
    return (
        f"{title} is not safe to unpack: {shown} with paths outside its folder "
        f"({examples(names)}). Repack it without them."
    )


def links_message(title: str, names: Sequence[str]) -> str:
    """The error message for an archive with symbolic links."""
    return (
        f"{title} contains {counted(len(names), 'symbolic link')} without their files "
        f"({examples(names)}). "
        "Repack it with the files (`zip -r`, without `-y`)."
    )


def bomb_message(title: str, names: Sequence[str]) -> str:
    """The error message for a decompression bomb."""
    return (
        f"{title} is not safe to unpack: entries are compressed more than {MAX_RATIO}-fold, like a "
        f"decompression bomb ({examples(names) or 'all together'}). If you trust it, unpack it "
        "yourself and set competition.source to the folder."
    )


def locate(archive: Source, entry: zipfile.ZipInfo, title: str) -> Source:
    """The source of an uncompressed entry of an archive.

    Raises:
        UserError: if its header is damaged.
    """
    with reporting(title), archive.open() as file:
        file.seek(entry.header_offset)
        header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise UserError(f"cannot read {title}: its header is damaged. {REPLACE}")
    _, name, extra = LOCAL_HEADER.unpack(header)
    start = archive.start + entry.header_offset + LOCAL_HEADER.size + name + extra
    return Source(archive.path, start, entry.file_size)


def unpack(entry: zipfile.ZipInfo, opened: zipfile.ZipFile, scratch: Path, title: str) -> Source:
    """Unpack an entry to the folder `scratch`, unless that was done before.

    Raises:
        UserError: if it is damaged, or the disk is full.
    """
    suffix = PurePosixPath(entry.filename).suffix
    path = scratch / f"{entry.header_offset}-{entry.CRC:08x}-{entry.file_size}{suffix}"
    if not path.exists():
        with files.atomic(path, size=entry.file_size) as temporary, temporary.open("wb") as target:
            target.writelines(_chunks(opened, entry, title))
    return Source.of(path)


def _chunks(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, title: str) -> Iterator[bytes]:
    # Only errors of reading are reported as such, not those of writing.
    with reporting(title), opened.open(entry) as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
