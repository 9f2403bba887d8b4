"""The files of a competition, including those in archives and container files inside it."""

import io
import shutil
import tempfile
import weakref
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

import pandas as pd

from podium.competition import packed, zips
from podium.competition.containers import json_pixels, parquet, parquet_rows, registry, tfrecords
from podium.competition.containers.registry import Reader
from podium.competition.containers.shapes import Shapes
from podium.competition.source import Source
from podium.core import files
from podium.core.errors import UserError


class Contents:
    """Random access to files by name. A subclass adds them between `_start` and `_finish`."""

    path: Path
    names: list[str]
    _title: str
    _scratch: Path | None

    def _start(self, packed_bytes: int) -> None:
        """`packed_bytes`: the size of all files, as they are on the disk."""
        self.skipped = list[str]()
        """Why archives in it are not read: they are encrypted."""
        self._closers = list[Callable[[], object]]()
        self._entries: dict[str, tuple[Callable[[Any], IO[bytes]], Any]] = {}
        self._containers: dict[str, tuple[Reader, Callable[[], Source]]] = {}
        self._parquet: dict[str, parquet_rows.Table] = {}
        self._by_row = dict[Callable[[Any], IO[bytes]], int]()  # images in Parquet: which file
        self._tables = defaultdict[str, list[pd.DataFrame]](list)
        self._shapes = Shapes()
        self._budget = zips.Budget(packed_bytes)
        self.unpacked = False

    def _finish(self, used: Sequence[str] | None = None) -> None:
        folders = {
            registry.folder(name)
            for name in self._containers
            if used is None or registry.is_used(name, used)
        }
        for name, (read, locate) in self._containers.items():
            if registry.folder(name) in folders:
                self._add_container(name, read, locate())
        for name, parts in self._tables.items():  # one part per shard of a dataset
            rows = pd.concat(parts, ignore_index=True).fillna("")
            self._entries.setdefault(name, (io.BytesIO, files.csv_text(rows).encode()))
        self.names = list(self._entries)

    def _add_zip(
        self, source: Source, title: str, budget: zips.Budget, *, folder: str = ""
    ) -> None:
        """Add the files of a zip archive to `folder`, unless a file of that name exists. Those of
        an archive inside another one use up its `budget`.
        """
        is_inner = budget.depth > 0
        opened = zips.open_zip(source.open() if is_inner else source.path, title)
        self._closers.append(opened.close)
        inner: dict[str, packed.Part] = {}
        listed = zips.entries(opened, title)
        if is_inner:
            budget.spend(sum(entry.file_size for entry in listed.values()), title)
        for name, entry in listed.items():
            full_name = f"{folder}/{name}" if folder else name
            locate = partial(self._locate, opened, source, entry, f"{name} in {title}")
            if budget.depth < packed.MAX_DEPTH and packed.is_archive(full_name):
                inner[full_name] = packed.Part(entry.compress_size, locate)
            else:
                self._add_file(full_name, entry.file_size, (opened.open, entry), locate)
        self._add_archives(inner, lambda name: f"{name} in {self._title}", budget)

    def _add_archives(
        self,
        found: dict[str, packed.Part],
        title: Callable[[str], str],
        budget: zips.Budget,
        used: Sequence[str] | None = None,
    ) -> None:
        """Add the files of the archives `found`, which may be split into parts; `budget` is that of
        the archive that contains them. Those that must be repacked are left out if all folders and
        tables `used` are elsewhere.
        """
        archives = packed.group(found)
        others = [n for n in archives if used is not None and not packed.is_read(n, archives, used)]

        def needed() -> Iterator[str]:
            yield from (name for name in archives if name not in others)
            if not all(map(self._has, used or ())):
                yield from others

        for name in needed():
            try:
                parts = [found[part] for part in archives[name]]
                own = zips.Budget(sum(part.packed_bytes for part in parts), budget)
                self._add_packed(name, parts, title(name), own)
            except zips.EncryptedError as error:
                self.skipped.append(str(error))

    def _has(self, item: str) -> bool:
        """Whether there is a table of this name, or something in a folder of this name."""
        folder = f"/{item.strip('/')}/" if item.strip("/") else "/"
        return any(
            f"/{name}".endswith(f"/{item}") or folder in f"/{name}" for name in self._entries
        ) or any(registry.is_used(name, [item]) for name in self._containers)

    def _add_packed(
        self, name: str, parts: list[packed.Part], title: str, budget: zips.Budget
    ) -> None:
        sources = [part.locate() for part in parts]
        source = sources[0]
        if len(sources) > 1:
            source = packed.join(sources, self.scratch)
        if packed.kind(name) != packed.ZIP:
            source = packed.repacked(source, name, self.scratch, title, budget)
        self.unpacked |= self._scratch is not None and source.path.parent == self._scratch
        self._add_zip(source, title, budget, folder=packed.folder(name))

    def _locate(
        self, opened: zipfile.ZipFile, source: Source, entry: zipfile.ZipInfo, title: str
    ) -> Source:
        """A source with random access to an entry's bytes: in place, or unpacked once."""
        if entry.compress_type == zipfile.ZIP_STORED:
            return zips.locate(source, entry, title)
        self.unpacked = True
        return zips.unpack(entry, opened, self.scratch, title)

    def _add_file(
        self,
        name: str,
        size: int,
        entry: tuple[Callable[[Any], IO[bytes]], Any],
        locate: Callable[[], Source],
    ) -> None:
        if name in self._entries:
            return
        self._entries[name] = entry
        if (read := registry.reader(name, size, lambda: self._start_of(name))) is not None:
            self._containers[name] = read, locate

    def _start_of(self, name: str) -> bytes:
        with zips.reporting(self._full_title(name)), self.open(name) as file:
            return file.read(json_pixels.HEAD_BYTES)

    def _add_container(self, name: str, read: Reader, source: Source) -> None:
        """Replace a container file by its images and its table."""
        title = self._full_title(name)
        if read is tfrecords.read and source.starts_with(packed.GZIP_START):
            own = zips.Budget(source.size, self._budget)
            source, self.unpacked = packed.decompressed(source, self.scratch, title, own), True
            own.spend(source.size, title)
        with zips.reporting(title):
            content = read(source, PurePosixPath(name).stem, self._shapes)
            if content is None:
                if read is parquet.read:
                    self._parquet[name] = parquet_rows.Table(source)
                    self._closers.append(self._parquet[name].close)
                return
        self._closers.append(content.close)
        del self._entries[name]
        folder = registry.folder(name)
        if any(f"{folder}/{image}" in self._entries for image in content.images):
            folder = name.rpartition(".")[0]  # other images with the same ids
        opener = partial(_open_image, content.read)
        if read is parquet.read:
            self._by_row[opener] = len(self._by_row)
        for image, key in content.images.items():
            self._entries[f"{folder}/{image}"] = opener, key
        if content.table is not None:
            self._tables[f"{folder}.csv"].append(content.table)

    @cached_property
    def _heads(self) -> dict[str, bytes]:
        return {}

    @property
    def scratch(self) -> Path:
        """The folder for unpacked inner archives."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="podium-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files: Windows cannot delete an open one."""
        for close in self._closers:
            close()

    def open(self, name: str) -> IO[bytes]:
        """Open one file for reading piece by piece.

        Raises:
            UserError: if it is missing or cannot be opened. Reading it raises one of
                `zips.READ_ERRORS` if it is damaged.
        """
        if name not in self._entries:
            raise UserError(f"{name} not found in {self.path}. Restore it.")
        opener, entry = self._entries[name]
        with zips.reporting(self._full_title(name)):
            return opener(entry)

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a file, at most `size`; none if it cannot be read."""
        if name not in self._heads:
            self._heads[name] = b""
            with suppress(UserError, *zips.READ_ERRORS), self.open(name) as file:
                self._heads[name] = file.read(size)
        return self._heads[name]

    def read(self, name: str) -> bytes:
        """Read one file.

        Raises:
            UserError: if it is missing or damaged.
        """
        with zips.reporting(self._full_title(name)), self.open(name) as file:
            return file.read()

    def in_reading_order(self, names: Iterable[str]) -> list[str]:
        """Each of some files once: those in Parquet files, where only the next row can be read
        fast, in the order of these files and rows; the others in the given order.
        """

        def place(name: str) -> tuple[int, int]:
            opener, key = self._entries.get(name, (None, None))
            number = None if opener is None else self._by_row.get(opener)
            return (-1, 0) if number is None else (number, key or 0)

        return sorted(dict.fromkeys(names), key=place)

    def _full_title(self, name: str) -> str:
        return f"{name} in {self._title}"


def _open_image(read: Callable[[Any], bytes], key: Any) -> IO[bytes]:
    return io.BytesIO(read(key))
