"""One file of an image store: decode its images and write it, in one process or in several."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import console, files, machine, signals
from podium.core.errors import UserError
from podium.images import codec, store
from podium.images.decoders import ImageError

MISSING = "not in the archive"


@dataclass(frozen=True)
class Shard:
    """One file of a store: which images of the archive it is made of."""

    path: Path
    archive: Path
    scratch: Path | None
    images: list[tuple[str, str | None]]  # (id, the archive's name for it, if it has it)
    layout: Prepare
    blanks: bool  # whether a blank image stands for one that cannot be decoded
    in_all: int  # images of all shards
    value_range: Sequence[float] | None = None  # from which more than 8 bits are scaled, if known


class Written(NamedTuple):
    """A shard's images that cannot be used, and why. If it was not written, as it has images with
    more than 8 bits per channel and no `value_range`, also the range of their values.
    """

    bad: dict[str, str]
    unscaled: Sequence[float] | None = None


@contextmanager
def writer(processes: int) -> Iterator[Callable[[list[Shard]], list[Written]]]:
    """A function that writes shards, in this process or in several."""
    if processes <= 1:
        try:
            yield lambda shards: [_write(shard) for shard in console.bar(shards, "images")]
        finally:
            _open.cache_clear()
        return
    # Spawned, not forked: the libraries imported here hold threads and locks.
    spawn = get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start) as pool:
            yield lambda shards: list(
                console.bar(pool.map(_write, shards), "images", total=len(shards))
            )
    except BrokenProcessPool:
        raise UserError(
            f"one of the {processes} processes that decode images was lost, as when memory is "
            f"short: set {machine.WORKERS_VARIABLE} to fewer"
        ) from None


def _start() -> None:
    signals.die_with_parent()
    machine.keep_freed_memory()


@lru_cache(maxsize=1)
def _open(path: Path, scratch: Path | None) -> Archive:
    """Opened once a process: an archive's table of contents can be long."""
    return Archive(path, scratch)


def _write(shard: Shard) -> Written:
    """Write one shard."""
    archive, layout = _open(shard.archive, shard.scratch), shard.layout
    bad, sizes, ranges = dict[str, str](), list[int](), list[Sequence[float]]()

    def rows() -> Iterator[tuple[str, bytes]]:
        for image, name in shard.images:
            try:
                if name is None:
                    raise ImageError(MISSING)
                data = codec.reencode(
                    archive.read(name),
                    max_size=layout.max_size,
                    encode=layout.encode,
                    quality=layout.quality,
                    value_range=shard.value_range,
                )
            except codec.UnscaledError as error:
                ranges.append(error.value_range)
                continue
            except ImageError as error:
                bad[image] = str(error) if name is None else f"{name}: {error}"
                if not shard.blanks:
                    continue
                data = codec.black_png(layout.max_size)
            sizes.append(len(data))
            yield image, data

    try:
        store.write_shard(shard.path, rows(), encode=layout.encode, value_range=shard.value_range)
    except OSError as error:
        if error.errno not in files.DISK_FULL:
            raise
        needed = sum(sizes) * shard.in_all // max(1, len(sizes))
        raise UserError(files.disk_full_message(shard.path.parent.parent, error, needed)) from None
    if not ranges:
        return Written(bad)
    shard.path.unlink()
    lows, highs = zip(*ranges, strict=True)
    return Written(bad, (min(lows), max(highs)))
