"""From a competition's archive to prepared images, with several processes."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from podium import files, images, interrupt, machine, progress, store
from podium.archive import Archive, match_images
from podium.errors import UserError, examples
from podium.schema import Prepare


@dataclass(frozen=True)
class Shard:
    """One file of a store: which images of the archive it is made of."""

    path: Path
    archive: Path
    images: list[tuple[str, str]]  # (id, the archive's name for it)
    layout: Prepare
    in_all: int  # images of all shards


def store_images(
    archive: Archive, ids: dict[str, list[str]], *, folder: Path, layout: Prepare, processes: int
) -> None:
    """Decode each image once and write the stores `folder`/train and `folder`/test.

    The bytes written depend on neither the number of processes nor their timing: a shard's images
    are fixed beforehand and one process writes all of it.

    Raises:
        UserError: if an image is missing in the archive, or cannot be decoded.
    """
    folders = {"train": layout.train_images, "test": layout.test_images}
    shards, in_all = [], sum(map(len, ids.values()))
    for part, part_ids in ids.items():
        (folder / part).mkdir(parents=True)
        names = match_images(archive.names, part_ids, folder=folders[part])
        rows = iter(zip(part_ids, names, strict=True))
        for number in range(-(-len(part_ids) // store.SHARD)):
            path = folder / part / f"{number:05d}.arrow"
            part_of_it = list(islice(rows, store.SHARD))
            shards.append(Shard(path, archive.path, part_of_it, layout, in_all))
    processes = min(processes, len(shards))
    if processes <= 1:
        results = [_write(shard) for shard in progress.bar(shards, "images")]
    else:
        # Spawned, not forked: the libraries imported here hold threads and locks.
        spawn = get_context("spawn")
        try:
            with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start) as pool:
                results = list(progress.bar(pool.map(_write, shards), "images", total=len(shards)))
        except BrokenProcessPool:
            raise UserError(
                f"one of the {processes} processes that decode images was lost, as when memory is "
                f"short: set {machine.WORKERS} to fewer"
            ) from None
    if bad := [problem for result in results for problem in result]:
        raise UserError(f"{len(bad)} images cannot be decoded: {examples(bad)}")


def _start() -> None:
    interrupt.die_with_parent()
    machine.keep_freed_memory()


@lru_cache(maxsize=1)
def _open(path: Path) -> Archive:
    """Opened once a process: an archive's table of contents can be long."""
    return Archive(path)


def _write(shard: Shard) -> list[str]:
    """Write one shard; give its images that cannot be decoded, with the reason."""
    archive = _open(shard.archive)
    bad, sizes = list[str](), list[int]()

    def rows() -> Iterator[tuple[str, bytes]]:
        layout = shard.layout
        for image, name in shard.images:
            try:
                data = images.store(
                    archive.read(name),
                    max_size=layout.max_size,
                    encode=layout.encode,
                    quality=layout.quality,
                )
            except images.ImageError as error:
                bad.append(f"{image} ({name}: {error})")
            else:
                sizes.append(len(data))
                yield image, data

    try:
        store.write_shard(shard.path, rows(), encode=shard.layout.encode)
    except OSError as error:
        if error.errno not in files.FULL:
            raise
        needed = sum(sizes) * shard.in_all // max(1, len(sizes))
        raise UserError(files.no_space(shard.path.parent.parent, error, needed)) from None
    return bad
