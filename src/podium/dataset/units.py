"""Several images per row of the submission: which images belong to which unit, a row's subject."""

import re
from collections.abc import Iterable

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import nfc
from podium.config import images_pattern
from podium.config.prepare import Prepare
from podium.core.errors import UserError, counted, examples
from podium.dataset import table_columns
from podium.dataset.image_files import image_names, images_below, normalize_path

COLUMN = "unit "  # prefix of the columns that `columns` adds
NAME = "image "  # that of the columns that `name_columns` adds


def columns(archive: Archive, layout: Prepare) -> dict[str, str]:
    """The columns of the training table that tell units apart, by the names to read them as."""
    names = layout.unit_columns
    if not names and layout.submission_id_column is not None and layout.train_csv is not None:
        header = archive.header(table_columns.find(archive, layout.train_csv, "train_csv"))
        names = [name for name in header if nfc(name) == nfc(layout.submission_id_column)]
    return {COLUMN + name: name for name in names}


def join(table: pd.DataFrame) -> pd.DataFrame:
    """The training table with one column `unit` for those that `columns` added, if any."""
    names = [name for name in table.columns if str(name).startswith(COLUMN)]
    if not names:
        return table
    units = table[names].apply(lambda column: column.map(nfc).str.strip())
    joined = units.agg(" ".join, axis=1)
    return table.drop(columns=names).assign(unit=joined)


def check(train: pd.DataFrame, name: str) -> None:
    """Check that the images of each unit have the same label.

    Raises:
        UserError: if not.
    """
    counts = train.groupby("unit", sort=False)["label"].nunique()
    if different := counts[counts > 1].index.tolist():
        raise UserError(
            f"{name}: the images of {counted(len(different), 'unit')} have different labels: "
            f"{examples(different)}. Set prepare.unit_column to columns that tell them apart."
        )


def name_columns(layout: Prepare) -> dict[str, str]:
    """The columns that `prepare.images` names, by the names to read them as."""
    return {NAME + name: name for name in images_pattern.columns(layout.images)}


def join_names(table: pd.DataFrame, layout: Prepare) -> pd.DataFrame:
    """A table with one column `image` for those that `name_columns` added, if any: what they name
    together.

    Raises:
        UserError: if several ids have the same images.
    """
    columns = [name for name in table.columns if str(name).startswith(NAME)]
    if not columns:
        return table
    template, _ = images_pattern.split(layout.images or "")
    cells = table[columns].apply(lambda column: column.map(nfc).str.strip())
    cells = cells.rename(columns=lambda name: name.removeprefix(NAME)).assign(id=table["id"])
    names = [images_pattern.fill(template, row) for row in cells.to_dict("records")]
    table = table.drop(columns=columns).assign(image=names)
    of_names = table.drop_duplicates(["id", "image"])
    if (shared := of_names["image"].duplicated(keep=False)).any():
        first = of_names["image"][shared].iloc[0]
        ids = of_names["id"][of_names["image"] == first].tolist()
        count = counted(of_names["image"][shared].nunique(), "name", "has")
        raise UserError(
            f"prepare.images: {count} several ids, such as {first}: {examples(ids)}. Add a column "
            "that tells them apart to the pattern."
        )
    return table


def of_images(
    table: pd.DataFrame, archive: Archive, layout: Prepare, *, folder: str, exclude: str
) -> pd.DataFrame:
    """One row per image of each row's id: `id` becomes the image's path below `folder`, or with
    `prepare.stack` what the columns of `prepare.images` name; `unit` the id. An id without images
    keeps its row, as if it were an image's name: what is done about it follows from `on_bad_image`.
    The table itself if ids are the names of images.
    """
    if layout.images is None or (layout.stack is not None and "image" not in table):
        return table
    names, ids = table.get("image", table["id"]), table["id"]
    table = table.drop(columns="image", errors="ignore")
    if layout.stack is not None:
        return table.assign(id=names, unit=ids)
    paths = images_below(image_names(archive), folder, exclude=exclude)
    found = find(paths, names, images_pattern.of_names(layout.images))
    rows = [(place, image) for place, name in enumerate(names) for image in found.get(name, [name])]
    places, images = zip(*rows, strict=True)
    expanded = table.take(places).assign(id=list(images), unit=ids.take(places))
    return expanded.reset_index(drop=True)


def find(paths: Iterable[str], ids: Iterable[str], pattern: str) -> dict[str, list[str]]:
    """The paths that match `pattern` with each of `ids` in place of `{id}`, with or without their
    extension, sorted; of several ids that a path matches, it belongs to the longest.

    A path's parts are looked up among the ids, so the time does not grow with paths times ids.
    """
    known = {normalize_path(image): image for image in ids}
    prefix, suffix = pattern.split("{id}")
    before, after = _regex(prefix), _regex(suffix)
    longest, shortest = max(map(len, known), default=0), min(map(len, known), default=0)
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        name = nfc(path)
        stem = name.rpartition(".")[0] or name
        starts = range(len(stem)) if "*" in prefix else [len(prefix)]
        match = _best(name, stem, starts, (shortest, longest), known, (before, after))
        if match is not None:
            found.setdefault(known[match], []).append(path)
    return found


def _best(
    name: str,
    stem: str,
    starts: Iterable[int],
    lengths: tuple[int, int],
    known: dict[str, str],
    patterns: tuple[re.Pattern[str], re.Pattern[str]],
) -> str | None:
    """The longest known id in a path around which the patterns match."""
    before, after = patterns
    best: str | None = None
    for start in starts:
        if not before.fullmatch(name[:start]):
            continue
        for end in range(min(len(name), start + lengths[1]), start + lengths[0] - 1, -1):
            image = name[start:end]
            if best is not None and len(image) <= len(best):
                break
            if image in known and (
                after.fullmatch(name[end:]) or (end <= len(stem) and after.fullmatch(stem[end:]))
            ):
                best = image
    return best


def _regex(part: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, part.split("*"))))
