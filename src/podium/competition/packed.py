"""Archives other than zip: 7z, tar, compressed tables, and archives that are split into parts.

They are repacked into an uncompressed zip archive, which allows random access.
"""

import bz2
import gzip
import hashlib
import lzma
import posixpath
import re
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from podium.competition import seven_zip, zips
from podium.competition.containers import registry
from podium.competition.source import Source
from podium.competition.text.names import is_hidden
from podium.core import files
from podium.core.errors import UserError, examples

ZIP, SEVEN_ZIP, TAR = "zip", "7z", "tar"
SUFFIXES = {
    ".zip": ZIP,
    ".7z": SEVEN_ZIP,
    **dict.fromkeys((".tar", ".tgz", ".tbz", ".tbz2", ".txz"), TAR),
    **dict.fromkeys((".tar.gz", ".tar.bz2", ".tar.xz"), TAR),
}
COMPRESSED: dict[str, Any] = {
    ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open,
}  # fmt: skip
GZIP_START = b"\x1f\x8b"
ANY_SUFFIX = (*SUFFIXES, *COMPRESSED)
IN_COMPRESSED = (".csv", ".tsv", ".txt", ".json", ".parquet", ".h5", ".hdf5", ".tfrec", ".tfrecord")
MAX_DEPTH = 4  # archives in archives
PART = re.compile(r"(.+\.(?:zip|7z))\.(\d{3,})", re.IGNORECASE)
ERRORS = (*zips.READ_ERRORS, tarfile.TarError, ValueError)

Entry = tuple[str, Callable[[], IO[bytes]]]  # the name and the content of a file


class Part(NamedTuple):
    """A file that is an archive, or a part of one."""

    packed_bytes: int
    """Its size where it is: compressed, if it is an entry of an archive."""
    locate: Callable[[], Source]
    """Unpacks it if necessary."""


def kind(name: str) -> str | None:
    """The kind of archive, by the file's name: zip, 7z, tar, the suffix of a compressed table, or
    None.
    """
    lower = name.lower()
    suffix = next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), None)
    if suffix is not None:
        return SUFFIXES[suffix]
    stem, compression = posixpath.splitext(lower)
    is_one = compression in COMPRESSED and stem.endswith(IN_COMPRESSED)
    return compression if is_one else None


def is_archive(name: str) -> bool:
    """Whether a file is an archive or a part of one, by its name."""
    if name.lower().endswith(ANY_SUFFIX):  # a fast check: there may be a million files
        return kind(name) is not None
    return name[-1:].isdigit() and PART.fullmatch(name) is not None


def folder(name: str) -> str:
    """The folder for an archive's files: a/train for a/train.tar.gz. A compressed table, or another
    archive (train.tar in train.tar.7z), stays in its own folder.
    """
    content = content_name(name)
    is_one = kind(name) in COMPRESSED or kind(content) is not None
    return posixpath.dirname(name) if is_one else content


def content_name(name: str) -> str:
    """The name of an archive without its suffix: a/train for a/train.tar.gz."""
    if kind(name) in COMPRESSED:
        return posixpath.splitext(name)[0]
    suffix = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len)
    return name[: -len(suffix)]


def group(names: Iterable[str]) -> dict[str, list[str]]:
    """The archives among the files `names`, and the files that each consists of: one, or numbered
    parts (train.zip.001, train.zip.002).

    Raises:
        UserError: if a part is missing.
    """
    archives, parts = dict[str, list[str]](), defaultdict[str, dict[int, str]](dict)
    for name in names:
        if match := PART.fullmatch(name):
            parts[match[1]][int(match[2])] = name
        elif kind(name) is not None:
            archives[name] = [name]
    for name, numbered in parts.items():
        first, last = min(numbered), max(numbered)
        if missing := sorted({*range(min(1, first), last + 1)} - {*numbered} - {0}):
            raise UserError(
                f"{name} is split into parts, but parts {examples([f'{n:03d}' for n in missing])} "
                f"are missing (last one: {numbered[last]}). Add them."
            )
        archives.setdefault(name, [numbered[number] for number in sorted(numbered)])
    return archives


def is_read(name: str, archives: dict[str, list[str]], used: Sequence[str]) -> bool:
    """Whether an archive can be read as it is, or its name says that some of `used` are in it."""
    if kind(name) == ZIP and len(archives[name]) == 1:
        return True
    content = content_name(name)
    return registry.is_used(content, used) or registry.is_used(f"{content}.zip", used)


def join(parts: list[Source], scratch: Path) -> Source:
    """Join the parts of an archive in the folder `scratch`, unless that was done before."""
    path = scratch / f"{_key(*parts)}.joined"
    if not path.exists():
        with files.atomic(path, size=sum(p.size for p in parts)) as new, new.open("wb") as target:
            for part in parts:
                with part.open() as source:
                    while chunk := source.read(zips.CHUNK_BYTES):
                        target.write(chunk)
    return Source.of(path)


def repacked(source: Source, name: str, scratch: Path, title: str, budget: zips.Budget) -> Source:
    """Repack the archive `name` as a zip archive in the folder `scratch`, unless that was done
    before. Raises like `repack`.
    """
    path = scratch / f"{_key(source)}.zip"
    if not path.exists():
        repack(source, name, path, title, limit=budget.left)
    return Source.of(path)


def decompressed(source: Source, scratch: Path, title: str, budget: zips.Budget) -> Source:
    """Decompress a gzip file in the folder `scratch`, unless that was done before. Raises like
    `repack`.
    """
    zipped = repacked(source, "content.gz", scratch, title, budget)
    with zipfile.ZipFile(zipped.path) as opened:
        (entry,) = opened.infolist()
    return zips.locate(zipped, entry, title)


def repack(
    source: Source, name: str, target: Path, title: str, *, limit: int | None = None
) -> None:
    """Convert an archive to an uncompressed zip archive without hidden files. `name` determines its
    kind; messages call it `title`. `limit`: the maximum size of its files in bytes (None: what its
    own size allows).

    Raises:
        EncryptedError: if it is encrypted.
        UserError: if it is damaged or a decompression bomb, contains links or paths outside its
            folder, or the disk is full.
    """
    entries = {SEVEN_ZIP: seven_zip.entries, TAR: _tar}.get(str(kind(name)), _compressed)
    left = zips.Budget(source.size).left
    left = left if limit is None else min(left, limit)
    with files.atomic(target) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as output:
        folder = target.with_name(f"{target.name}.files")
        iterator = entries(source, name, folder, title, left)
        while True:
            with _reading(title):
                entry = next(iterator, None)
                content = None if entry is None else entry[1]()
            if entry is None or content is None:
                break
            if zips.OUTSIDE.match(entry[0]):
                raise UserError(zips.outside_message(title, [entry[0]]))
            with content, output.open(zipfile.ZipInfo(entry[0]), "w", force_zip64=True) as copy:
                while chunk := _read(content, title):
                    left -= len(chunk)
                    if left < 0:
                        raise UserError(zips.bomb_message(title, [entry[0]]))
                    copy.write(chunk)


@contextmanager
def _reading(title: str) -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        if isinstance(error, OSError) and error.errno in files.DISK_FULL:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{title} is not a readable archive: {reason}. {zips.REPLACE}") from None


def _read(content: IO[bytes], title: str) -> bytes:
    with _reading(title):
        return content.read(zips.CHUNK_BYTES)


def _tar(source: Source, _: str, __: Path, title: str, ___: int) -> Iterator[Entry]:
    """The files of a tar archive with any compression."""
    with tarfile.open(fileobj=source.open(), mode="r:*") as archive:
        for member in archive:
            name = posixpath.normpath(
                member.name.encode(errors="surrogateescape").decode(errors="replace")
            )
            if member.isdir() or is_hidden(name):
                continue
            if not member.isfile():
                raise UserError(zips.links_message(title, [name]))
            content = archive.extractfile(member)
            assert content is not None
            yield name, lambda content=content: content  # type: ignore[misc]
        rest: Any = archive.fileobj
        while rest.read(zips.CHUNK_BYTES):  # verifies the checksum of compressed data
            pass


def _compressed(source: Source, name: str, *_: object) -> Iterator[Entry]:
    """The single file in a compressed file."""
    path = PurePosixPath(name)
    yield path.stem, lambda: COMPRESSED[path.suffix.lower()](source.open())


def _key(*sources: Source) -> str:
    parts = [f"{source.path.name} {source.start} {source.size}" for source in sources]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
