"""Random access to a file or to a range of its bytes."""

import io
import mmap
from pathlib import Path
from typing import NamedTuple

MAX_POSITION = 2**62


class FileSlice(io.FileIO):
    """`size` bytes of a file from `start` on, as a file object.

    It gives random access to an uncompressed zip entry; zipfile's own reader seeks by reading.
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
            raise OSError("seek to an invalid position")
        return super().seek(self._start + base + offset) - self._start

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        left = max(0, self._size - self.tell())
        return super().readinto(view[:left]) or 0


class Source(NamedTuple):
    """`size` bytes of a file from `start` on."""

    path: Path
    start: int
    size: int

    @classmethod
    def of(cls, path: Path) -> "Source":
        """The whole file."""
        return cls(path, 0, path.stat().st_size)

    def open(self) -> FileSlice:
        """Open it as a file object."""
        return FileSlice(self.path, self.start, self.size)

    def starts_with(self, start: bytes) -> bool:
        """Whether these are its first bytes."""
        with self.open() as file:
            return file.read(len(start)) == start

    def map(self) -> memoryview:
        """Memory-map it: only the bytes in use are in memory."""
        if not self.size:  # which cannot be mapped
            return memoryview(b"")
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(mapped)[self.start : self.start + self.size]
