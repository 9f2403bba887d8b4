"""A file, or a part of one, that can be read from any position."""

import io
import mmap
from pathlib import Path
from typing import NamedTuple

MAX_POSITION = 2**62


class FileSlice(io.FileIO):
    """`size` bytes of a file from `start`, as a file.

    It opens a stored entry without unpacking: zipfile's own reader of an entry seeks by reading.
    """

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__(path)
        self._start, self._size = start, size
        self.seek(0)

    def tell(self) -> int:
        return super().tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        if not 0 <= base + offset < MAX_POSITION:
            raise OSError("seek to a position that no file has")
        return super().seek(self._start + base + offset) - self._start

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        left = max(0, self._size - self.tell())
        return super().readinto(view[:left]) or 0


class Source(NamedTuple):
    """`size` bytes of a file from `start`."""

    path: Path
    start: int
    size: int

    @classmethod
    def of(cls, path: Path) -> "Source":
        """All of a file."""
        return cls(path, 0, path.stat().st_size)

    def open(self) -> FileSlice:
        """As a file."""
        return FileSlice(self.path, self.start, self.size)

    def map(self) -> memoryview:
        """As bytes, of which only those in use are in memory."""
        if not self.size:  # which cannot be mapped
            return memoryview(b"")
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(mapped)[self.start : self.start + self.size]
