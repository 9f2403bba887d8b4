"""Build the image stores from a competition's archive, in several processes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import nfc
from podium.config.prepare import Prepare
from podium.core.errors import UserError, counted, examples
from podium.dataset import pixel_tables, stacks
from podium.dataset.file_facts import FileFacts
from podium.dataset.image_files import find_images, image_names, images_below, shown
from podium.dataset.shards import Shard, Written, writer
from podium.dataset.stacks import Files
from podium.images import store

TITLES = {"train": "training image", "test": "test image"}

ByPart = dict[str, dict[str, str]]  # by "train" or "test", and image id


class StoredImages(NamedTuple):
    """The result of building the stores."""

    unusable: ByPart
    """Why each image that is dropped from training, or black in the test set, is unusable."""
    checksums: ByPart
    """The checksum of each image's pixels as stored."""
    facts: dict[str, dict[str, FileFacts]]
    """Facts about each image file, by part and id; empty for images in tables."""
    value_range: Sequence[float] | None
    """The range that images with more than 8 bits per channel were scaled from; None if there are
    no such images and `prepare.value_range` is auto."""

    def warnings(self, layout: Prepare) -> list[str]:
        """Warnings about unusable images and a detected range of values."""
        effects = {"train": "dropped", "test": "black"}
        warnings = [
            f"{counted(len(reasons), TITLES[part], 'is')} unusable and {effects[part]}: "
            f"{_shown(reasons)}"
            for part, reasons in self.unusable.items()
            if reasons
        ]
        if layout.value_range == "auto" and self.value_range is not None:
            low, high = (f"{bound:.7g}" for bound in self.value_range)
            warnings.append(
                f"prepare.value_range: images with more than 8 bits per channel are scaled from "
                f"{low} to {high}, the range of the training images. Set value_range: "
                f"[{low}, {high}] to fix it, or another range to clip outliers"
            )
        return warnings

    def files(self) -> pd.DataFrame:
        """The facts as a table: part, id, and the fields of `FileFacts`."""
        rows = [
            (part, image, *facts)
            for part, by_id in self.facts.items()
            for image, facts in by_id.items()
        ]
        return pd.DataFrame(rows, columns=["part", "id", *FileFacts._fields])


def store_images(
    archive: Archive,
    ids: dict[str, list[str]],
    *,
    folder: Path,
    layout: Prepare,
    processes: int,
    detected_range: Sequence[float] | None = None,
) -> StoredImages:
    """Decode the images `ids` of the parts "train" and "test", and write the stores `folder`/train
    and `folder`/test. Images with more than 8 bits per channel are decoded twice if their range
    must be detected first: if `layout.value_range` is auto and there is no `detected_range`.

    The bytes written do not depend on the number of processes or their timing: which images a
    shard contains is fixed in advance, and one process writes it.

    Raises:
        UserError: if images are missing or cannot be decoded and `on_bad_image` does not allow it.
    """
    if layout.pixel_columns is not None:
        checksums = pixel_tables.store_images(archive, ids, folder=folder, layout=layout)
        return StoredImages({part: {} for part in ids}, checksums, {}, None)
    shards = _shards(archive, ids, folder, layout, detected_range)
    with writer(min(processes, len(shards))) as write_all:
        written = write_all(shards)
        value_range = shards[0].value_range if shards else None
        if unscaled := [number for number, result in enumerate(written) if result.unscaled]:
            value_range = _value_range(shards, written)
            scaled = write_all([replace(shards[n], value_range=value_range) for n in unscaled])
            for number, result in zip(unscaled, scaled, strict=True):
                written[number] = result
    stored = StoredImages(
        unusable={part: {} for part in ids},
        checksums={part: {} for part in ids},
        facts={part: {} for part in ids},
        value_range=value_range,
    )
    for shard, result in zip(shards, written, strict=True):
        stored.unusable[shard.part] |= result.unusable
        stored.checksums[shard.part] |= result.checksums
        stored.facts[shard.part] |= result.facts
    _check(stored.unusable, ids, layout)
    return stored


def _value_range(shards: list[Shard], written: list[Written]) -> list[float]:
    """The range of the training images, or of the test images if only they need one."""
    ranges: dict[str, list[Sequence[float]]] = {}
    for shard, result in zip(shards, written, strict=True):
        if result.unscaled is not None:
            ranges.setdefault(shard.part, []).append(result.unscaled)
    lows, highs = zip(*(ranges.get("train") or ranges["test"]), strict=True)
    return [min(lows), max(highs)]


def _shards(
    archive: Archive,
    ids: dict[str, list[str]],
    folder: Path,
    layout: Prepare,
    detected_range: Sequence[float] | None,
) -> list[Shard]:
    shards = []
    for part, part_images in match_images(archive, ids, layout).items():
        (folder / part).mkdir(parents=True)
        starts = range(0, max(1, len(part_images)), store.SHARD_SIZE)  # a store is never empty
        for number, start in enumerate(starts):
            shard = Shard(
                path=folder / part / f"{number:05d}.arrow",
                archive=archive.path,
                scratch=archive.scratch if archive.unpacked else None,
                images=part_images[start : start + store.SHARD_SIZE],
                layout=layout,
                total_images=sum(map(len, ids.values())),
                value_range=(
                    detected_range if layout.value_range == "auto" else layout.value_range
                ),
            )
            shards.append(shard)
    return shards


def match_images(
    archive: Archive, ids: dict[str, list[str]], layout: Prepare
) -> dict[str, list[tuple[str, Files]]]:
    """Find the archive's file for each image, or its files if they are stacked: pairs of id and
    name, None if it is missing.

    Raises:
        UserError: as `find_images`, and if images are missing and `on_bad_image` does not allow it.
    """
    folders = {"train": layout.train_images, "test": layout.test_images}
    images, missing = dict[str, list[tuple[str, Files]]](), {}
    names = image_names(archive)
    for part, part_ids in ids.items():
        files: Sequence[Files]
        if layout.stack is not None:
            other = folders["test" if part == "train" else "train"]
            below = images_below(names, folders[part], exclude=other)
            files = stacks.find(below, part_ids, layout)
        else:
            files = find_images(names, part_ids, folder=folders[part])
            if part == "train" and layout.more_train_images:
                files = _with_paths(files, part_ids, names, layout)
        images[part] = list(zip(part_ids, files, strict=True))
        reasons = ((image, stacks.missing(found, layout)) for image, found in images[part])
        missing[part] = {image: reason for image, reason in reasons if reason is not None}
    try:
        _check(missing, ids, layout, folders)
    except UserError as error:
        not_read = f" Not read: {examples(archive.skipped)}" if archive.skipped else ""
        raise UserError(f"{error}{not_read}") from None
    return images


def _with_paths(
    files: Sequence[str | None], ids: list[str], names: list[str], layout: Prepare
) -> list[str | None]:
    """Replace files of images in `more_train_images`, whose ids are their paths."""
    below = (images_below(names, folder).values() for folder in layout.more_train_images)
    paths = {nfc(name): name for found in below for name in found}
    return [paths.get(image, name) for image, name in zip(ids, files, strict=True)]


def _check(
    unusable: ByPart,
    ids: dict[str, list[str]],
    layout: Prepare,
    folders: dict[str, str] | None = None,
) -> None:
    """Check that `on_bad_image` allows the unusable images; `folders` if they are only missing."""
    allowed = {"error": [], "skip": ["train"], "blank": ["train", "test"]}[layout.on_bad_image]
    problems = []
    hint = "on_bad_image: skip to drop them."
    for part, reasons in unusable.items():
        if not reasons or part in allowed:
            continue
        one = len(reasons) == 1
        if folders is None:
            problem = f"{'is' if one else 'are'} unusable: {_shown(reasons)}"
        else:
            all_missing = (stacks.MISSING, stacks.NO_IMAGES)
            names = [i if r in all_missing else f"{i} ({r})" for i, r in reasons.items()]
            where = f"{shown(folders[part])}: {examples(names)}"
            problem = f"{'is' if one else 'are'} missing from {where}"
        count = counted(len(reasons), TITLES[part], of=len(ids[part]))
        if folders is not None and stacks.NO_IMAGES in reasons.values():
            count, problem = counted(len(reasons), f"{part} id", "has"), f"no images in {where}"
        problems.append(f"{count} {problem}")
        if folders is not None and len(reasons) == len(ids[part]):
            hint = f"{part}_images to the folder that contains them."
            if layout.images is not None:
                hint = f"images to the pattern of their paths, or {hint}"
            break
        if part == "test":
            hint = "on_bad_image: blank to predict black images in their place."
    if problems:
        raise UserError(f"{'; '.join(problems)}. Set prepare.{hint}")


def _shown(reasons: Mapping[str, str]) -> str:
    return examples([f"{image} ({reason})" for image, reason in reasons.items()])
