"""Write one file of an image store: decode its images, in this process or in several."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import console, files, machine, signals
from podium.core.errors import UserError
from podium.dataset import file_facts, stacks
from podium.dataset.file_facts import FileFacts
from podium.dataset.stacks import Files
from podium.images import codec, store
from podium.images.channels import UnscaledError
from podium.images.decoded import ImageError


@dataclass(frozen=True)
class Shard:
    """A file of a store, and the images that it will contain."""

    path: Path
    archive: Path
    scratch: Path | None
    images: list[tuple[str, Files]]  # id, and its files in the archive
    layout: Prepare
    total_images: int  # in all shards
    value_range: Sequence[float] | None = None  # to scale more than 8 bits from, if known

    @property
    def part(self) -> str:
        """`train` or `test`."""
        return self.path.parent.name


class Written(NamedTuple):
    """The result of writing a shard."""

    unusable: dict[str, str]  # id -> why the image is missing or cannot be decoded
    checksums: dict[str, str]  # id -> checksum of the image's pixels
    facts: dict[str, FileFacts]  # by id
    unscaled: Sequence[float] | None = None
    """The range of values, if the shard was not written since it has images with more than 8 bits
    per channel and no `value_range`."""


@contextmanager
def writer(processes: int) -> Iterator[Callable[[list[Shard]], list[Written]]]:
    """A function that writes shards, in this process or in several."""
    if processes <= 1:
        try:
            yield lambda shards: [_write(shard) for shard in console.bar(shards, "images")]
        finally:
            _open.cache_clear()
        return
    # Spawned, not forked: the imported libraries have threads and locks.
    spawn = get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start) as pool:
            yield lambda shards: list(
                console.bar(pool.map(_write, shards), "images", total=len(shards))
            )
    except BrokenProcessPool:
        raise UserError(
            f"one of {processes} image decoding processes died (out of memory?). Set "
            f"{machine.WORKERS_VARIABLE} to a lower number."
        ) from None


def _start() -> None:
    signals.die_with_parent()
    machine.keep_freed_memory()


@lru_cache(maxsize=1)
def _open(path: Path, scratch: Path | None, used: tuple[str, ...]) -> Archive:
    """Open the archive once per process: its table of contents can be long."""
    return Archive(path, scratch, used=used)


class _Image(NamedTuple):
    """An image's bytes, and what `Written` says about it."""

    data: bytes = b""
    checksum: str = ""
    facts: FileFacts | None = None
    problem: str | None = None
    range: Sequence[float] | None = None


def _write(shard: Shard) -> Written:
    layout = shard.layout
    archive = _open(shard.archive, shard.scratch, layout.names)
    written = Written({}, {}, {})
    sizes, ranges = list[int](), list[Sequence[float]]()

    def rows() -> Iterator[tuple[str, bytes]]:
        for (image, _), result in zip(shard.images, _images(shard, archive), strict=True):
            data = result.data
            if result.range is not None:
                ranges.append(result.range)
                continue
            if result.problem is not None:
                written.unusable[image] = result.problem
                if shard.part == "train" or layout.on_bad_image != "blank":
                    continue
                data = codec.black_png(layout.max_size, layout.channels)
            elif result.facts is not None:
                written.checksums[image], written.facts[image] = result.checksum, result.facts
            sizes.append(len(data))
            yield image, data

    try:
        store.write_shard(
            shard.path,
            rows(),
            encode=layout.encode,
            channels=layout.channels,
            value_range=shard.value_range,
            is_detected=layout.value_range == "auto",
        )
    except OSError as error:
        if error.errno not in files.DISK_FULL:
            raise
        needed = sum(sizes) * shard.total_images // max(1, len(sizes))
        raise UserError(files.disk_full_message(shard.path.parent.parent, error, needed)) from None
    if not ranges:
        return written
    shard.path.unlink()
    lows, highs = zip(*ranges, strict=True)
    return written._replace(unscaled=(min(lows), max(highs)))


def _images(shard: Shard, archive: Archive) -> Iterator[_Image]:
    """The images of a shard, in order. If they are read faster in another one, their bytes are in a
    temporary file until it is their turn.
    """
    named = [files for _, files in shard.images]
    first = {_first(files): files for files in named if not stacks.missing(files, shard.layout)}
    ordered = archive.in_reading_order([*first])
    if ordered == [*first]:
        yield from (_image(shard, archive, files) for files in named)
        return
    with tempfile.TemporaryFile(dir=shard.path.parent) as file:
        places = {}
        for path in ordered:
            image = _image(shard, archive, first[path])
            places[path] = image._replace(data=b""), file.tell(), len(image.data)
            file.write(image.data)
        for files in named:
            if _first(files) not in places:
                yield _image(shard, archive, files)
                continue
            image, start, size = places[_first(files)]
            file.seek(start)
            yield image._replace(data=file.read(size))


def _first(files: Files) -> str:
    return next(iter(stacks.names(files)), "")


def _image(shard: Shard, archive: Archive, files: Files) -> _Image:
    layout, name = shard.layout, _first(files)
    if problem := stacks.missing(files, layout):
        return _Image(problem=problem)
    options: dict[str, Any] = {
        "max_size": layout.max_size,
        "channels": layout.channels,
        "value_range": shard.value_range,
        "is_detected": layout.value_range == "auto",
        "max_megapixels": layout.max_megapixels,
    }
    try:
        original = archive.read(name)
        if isinstance(files, tuple):
            stack = {name: original, **{f: archive.read(f) for f in files[1:] if f is not None}}
            data, pixels = codec.reencode_stack(stack, **options)
            name = ", ".join(stack)
        else:
            encode, quality = layout.encode, layout.quality
            data, pixels = codec.reencode(original, encode=encode, quality=quality, **options)
        return _Image(data, codec.checksum(pixels), file_facts.read(name, original))
    except UnscaledError as error:
        return _Image(range=error.value_range)
    except ImageError as error:
        return _Image(problem=f"{name}: {error}")
