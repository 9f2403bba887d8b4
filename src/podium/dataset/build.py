"""From a competition's archive to prepared images, with several processes."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import console, files, machine, signals
from podium.core.errors import UserError, examples
from podium.dataset import pixel_tables
from podium.dataset.image_files import check_distinct, find_images
from podium.images import codec, store

WHAT = {"train": "training images", "test": "test images"}
MISSING = "not in the archive"

Bad = dict[str, dict[str, str]]  # part -> id -> what is wrong with the image


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


def store_images(
    archive: Archive, ids: dict[str, list[str]], *, folder: Path, layout: Prepare, processes: int
) -> Bad:
    """Decode each image once and write the stores `folder`/train and `folder`/test.

    The bytes written depend on neither the number of processes nor their timing: a shard's images
    are fixed beforehand and one process writes all of it.

    Returns:
        For train and test the images that are missing or cannot be decoded, and why: those of train
        are left out, those of test are blank.

    Raises:
        UserError: if there are such images and `on_bad_image` does not allow it.
    """
    if layout.pixel_columns is not None:
        pixel_tables.store_images(archive, ids, folder=folder, layout=layout)
        return {part: {} for part in ids}
    shards = _shards(archive, ids, folder, layout)
    results = _write_all(shards, processes)
    bad: Bad = {part: {} for part in ids}
    for shard, found in zip(shards, results, strict=True):
        bad[shard.path.parent.name] |= found
    _check(bad, ids, layout)
    return bad


def notes(bad: Bad) -> list[str]:
    """What a person should know of the images that could not be used, as far as there are any."""
    said = {"train": "left out", "test": "blank"}
    return [
        f"{len(found)} {WHAT[part]} cannot be used and are {said[part]}: {_named(found)}"
        for part, found in bad.items()
        if found
    ]


def _shards(
    archive: Archive, ids: dict[str, list[str]], folder: Path, layout: Prepare
) -> list[Shard]:
    folders = {"train": layout.train_images, "test": layout.test_images}
    names = {
        part: find_images(archive.names, part_ids, folder=folders[part])
        for part, part_ids in ids.items()
    }
    for part, part_ids in ids.items():
        check_distinct(part_ids, names[part])
    absent = {
        part: {i: MISSING for i, name in zip(ids[part], names[part], strict=True) if name is None}
        for part in ids
    }
    _check(absent, ids, layout, folders)
    shards, in_all = [], sum(map(len, ids.values()))
    scratch = archive.scratch if archive.unpacked else None
    for part, part_ids in ids.items():
        (folder / part).mkdir(parents=True)
        blanks = part == "test" and layout.on_bad_image == "blank"
        rows = iter(zip(part_ids, names[part], strict=True))
        for number in range(-(-len(part_ids) // store.SHARD_SIZE)):
            path = folder / part / f"{number:05d}.arrow"
            part_of_it = list(islice(rows, store.SHARD_SIZE))
            shards.append(Shard(path, archive.path, scratch, part_of_it, layout, blanks, in_all))
    return shards


def _check(
    bad: Bad, ids: dict[str, list[str]], layout: Prepare, folders: dict[str, str] | None = None
) -> None:
    """Whether `on_bad_image` allows what was found; `folders` where images are only looked for."""
    how = layout.on_bad_image
    refused = [
        part for part in bad if bad[part] and (how == "error" or (how == "skip" and part == "test"))
    ]
    if not refused:
        return
    problems = []
    for part in refused:
        found = bad[part]
        many = f"{len(found)} of {len(ids[part])} {WHAT[part]}"
        if folders is None:
            problems.append(f"{many} cannot be used: {_named(found)}")
        else:
            where = f"the archive's folder {folders[part] or '(all)'}"
            problems.append(f"{many} are not in {where}: {examples([*found])}")
    hint = "to leave them out: prepare.on_bad_image: skip"
    if "test" in refused:
        hint = "test images are never left out; to predict black ones: prepare.on_bad_image: blank"
    raise UserError(f"{'; '.join(problems)}; {hint}")


def _named(found: dict[str, str]) -> str:
    return examples([f"{image} ({why})" for image, why in found.items()])


def _write_all(shards: list[Shard], processes: int) -> list[dict[str, str]]:
    processes = min(processes, len(shards))
    if processes <= 1:
        try:
            return [_write(shard) for shard in console.bar(shards, "images")]
        finally:
            _open.cache_clear()
    # Spawned, not forked: the libraries imported here hold threads and locks.
    spawn = get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start) as pool:
            return list(console.bar(pool.map(_write, shards), "images", total=len(shards)))
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


def _write(shard: Shard) -> dict[str, str]:
    """Write one shard; give its images that cannot be used, with the reason."""
    archive, layout = _open(shard.archive, shard.scratch), shard.layout
    bad, sizes = dict[str, str](), list[int]()

    def rows() -> Iterator[tuple[str, bytes]]:
        for image, name in shard.images:
            try:
                if name is None:
                    raise codec.ImageError(MISSING)
                data = codec.reencode(
                    archive.read(name),
                    max_size=layout.max_size,
                    encode=layout.encode,
                    quality=layout.quality,
                )
            except codec.ImageError as error:
                bad[image] = str(error) if name is None else f"{name}: {error}"
                if not shard.blanks:
                    continue
                data = codec.black_png(layout.max_size)
            sizes.append(len(data))
            yield image, data

    try:
        store.write_shard(shard.path, rows(), encode=layout.encode)
    except OSError as error:
        if error.errno not in files.DISK_FULL:
            raise
        needed = sum(sizes) * shard.in_all // max(1, len(sizes))
        raise UserError(files.disk_full_message(shard.path.parent.parent, error, needed)) from None
    return bad
