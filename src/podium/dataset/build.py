"""From a competition's archive to prepared images, with several processes."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError, examples
from podium.dataset import pixel_tables
from podium.dataset.image_files import check_distinct, find_images
from podium.dataset.shards import MISSING, Shard, Written, writer
from podium.images import store

WHAT = {"train": "training images", "test": "test images"}

Bad = dict[str, dict[str, str]]  # part -> id -> what is wrong with the image


def store_images(
    archive: Archive, ids: dict[str, list[str]], *, folder: Path, layout: Prepare, processes: int
) -> tuple[Bad, Sequence[float] | None]:
    """Decode each image once and write the stores `folder`/train and `folder`/test. Images with
    more than 8 bits per channel are decoded twice if their range must be found first.

    The bytes written depend on neither the number of processes nor their timing: a shard's images
    are fixed beforehand and one process writes all of it.

    Returns:
        For train and test the images that are missing or cannot be decoded, and why: those of train
        are left out, those of test are blank. And the range of values from which images with more
        than 8 bits per channel were scaled, None if there are none.

    Raises:
        UserError: if there are such images and `on_bad_image` does not allow it.
    """
    if layout.pixel_columns is not None:
        pixel_tables.store_images(archive, ids, folder=folder, layout=layout)
        return {part: {} for part in ids}, None
    shards = _shards(archive, ids, folder, layout)
    with writer(min(processes, len(shards))) as write_all:
        written = write_all(shards)
        value_range = shards[0].value_range if shards else None
        if unscaled := [number for number, result in enumerate(written) if result.unscaled]:
            value_range = _value_range(shards, written)
            again = write_all([replace(shards[n], value_range=value_range) for n in unscaled])
            for number, result in zip(unscaled, again, strict=True):
                written[number] = result
    bad: Bad = {part: {} for part in ids}
    for shard, result in zip(shards, written, strict=True):
        bad[shard.path.parent.name] |= result.bad
    _check(bad, ids, layout)
    return bad, value_range


def _value_range(shards: list[Shard], written: list[Written]) -> list[float]:
    """The range over the training images, or over the test images if only they need one."""
    ranges: dict[str, list[Sequence[float]]] = {}
    for shard, result in zip(shards, written, strict=True):
        if result.unscaled is not None:
            ranges.setdefault(shard.path.parent.name, []).append(result.unscaled)
    lows, highs = zip(*(ranges.get("train") or ranges["test"]), strict=True)
    return [min(lows), max(highs)]


def notes(bad: Bad) -> list[str]:
    """What a person should know of the images that could not be used, as far as there are any."""
    said = {"train": "left out", "test": "blank"}
    return [
        f"{len(found)} {WHAT[part]} cannot be used and are {said[part]}: {_named(found)}"
        for part, found in bad.items()
        if found
    ]


def range_notes(layout: Prepare, value_range: Sequence[float] | None) -> list[str]:
    """The range of values that was detected, if there was one to detect."""
    if layout.value_range != "auto" or value_range is None:
        return []
    low, high = (f"{bound:.7g}" for bound in value_range)
    return [
        f"prepare.value_range: images with more than 8 bits per channel are scaled from {low} to "
        f"{high}, the range of the training images. Set value_range: [{low}, {high}] to fix it, or "
        "another range to clip outliers"
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
    value_range = None if layout.value_range == "auto" else layout.value_range
    for part, part_ids in ids.items():
        (folder / part).mkdir(parents=True)
        blanks = part == "test" and layout.on_bad_image == "blank"
        rows = iter(zip(part_ids, names[part], strict=True))
        for number in range(-(-len(part_ids) // store.SHARD_SIZE)):
            path = folder / part / f"{number:05d}.arrow"
            part_of_it = list(islice(rows, store.SHARD_SIZE))
            shards.append(
                Shard(path, archive.path, scratch, part_of_it, layout, blanks, in_all, value_range)
            )
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
