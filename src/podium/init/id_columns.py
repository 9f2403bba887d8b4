"""Guess which column of a table contains the ids of the images."""

import re
from collections import defaultdict
from collections.abc import Sequence

from podium.core.errors import UserError, examples
from podium.dataset.image_files import ImageIndex
from podium.init.guesses import Confidence, Guess, one_of
from podium.init.matching import IdColumn, is_unnamed
from podium.init.roles import Roles
from podium.init.survey import Table

ID_NAME = re.compile(r"(?i:(.*[ _])?(id|name|file|filename|image))|.*[a-z\d]I[dD]")


def check_one_image_per_id(table: Table, images: ImageIndex) -> None:
    """Check that no id refers to several images, in a table whose ids are not image names.

    Raises:
        UserError: if most values of a unique column are folders or prefixes of several images each,
            unless all columns are unique, as in a list of classes.
    """
    by_part = defaultdict[str, list[str]](list)
    for name in images.names:
        *folders, stem = name.rpartition(".")[0].split("/")
        for part in {*folders, *(stem[: mark.start()] for mark in re.finditer("[ ._-]", stem))}:
            by_part[part].append(name)
    unique = [column for column in table.columns if table.rows[column].is_unique]
    for column in unique if len(unique) < len(table.columns) else ():
        ids = [value for value in table.rows[column] if len(by_part.get(value, ())) > 1]
        if 2 * len(ids) > len(table.rows):
            raise UserError(
                f"{table.name}: column {column} has several images per id, such as {ids[0]}: "
                f"{examples(by_part[ids[0]], 3)}. Only one image per id is supported: write one "
                "row per image, with the image's name as its id."
            )


def choose_ids(candidates: Sequence[IdColumn], *tables: Table | None) -> list[IdColumn]:
    """The `candidates` that are named like the first column of the first of `tables`, the sample
    submission, else those that are columns of the others; else all.
    """
    for number, table in enumerate(tables):
        names = [] if table is None else table.columns[: 1 if number == 0 else None]
        known = {name.lower() for name in names if not is_unnamed(name)}
        if shared := [column for column in candidates if column.name.lower() in known]:
            return shared
    return [*candidates]


def guess_ids(
    table: Table, candidates: Sequence[IdColumn], images: ImageIndex, tables: Roles
) -> Guess:
    """The id column of the training table, one of `candidates`; None if there are none.

    Raises:
        UserError: if the column's name is the id of an image, so the table has no header.
    """
    parse = one_of(table.columns, what=f"column of {table.name}")
    if not candidates:
        values = "; ".join(f"{c}: {examples(table.rows[c].tolist(), 2)}" for c in table.columns[:5])
        reason = (
            f"no column of {table.name} identifies image files ({values}); "
            f"the images are {examples(images.names, 3)}"
        )
        return Guess("prepare.id_column", None, "guess", reason, tuple(table.columns), parse)
    ids, *rest = choose_ids(candidates, tables.sample, tables.test)
    if _is_image(ids.name, table, images):
        raise UserError(
            f"{table.name}: seems to have no header: {ids.name!r} in the first line is the id of "
            "an image. Add a header, such as `id,label`."
        )
    others = tuple(column for column in table.columns if column != ids.name)
    confidence: Confidence = "certain" if ids.match_rate == 1 else "likely"
    reason = "identifies images"
    if ids.match_rate < 1:
        reason = f"{ids.match_rate:.0%} of its values identify images"
    if rivals := [column.name for column in rest if 2 * column.distinct > ids.distinct]:
        confidence, reason = "guess", f"{reason}, but so does {examples(rivals)}"
    return Guess("prepare.id_column", ids.name, confidence, reason, others, parse)


def guess_row_ids(table: Table) -> Guess:
    """The id column of a table of pixels: unique and named like an id; None if there is none."""
    candidates = [
        column
        for column in table.columns
        if ID_NAME.fullmatch(column) and table.rows[column].is_unique
    ]
    value = candidates[0] if candidates else None
    reason = "unique, named like an id" if candidates else "no unique id: rows are numbered from 1"
    parse = one_of(table.columns, what=f"column of {table.name}", nullable=True)
    return Guess("prepare.id_column", value, "certain", reason, tuple(candidates[1:]), parse)


def why_sample_ids(test: Table, sample: Table | None, ids: str) -> str:
    """Why the ids are taken from the sample submission rather than from the test table.

    Raises:
        UserError: if there is no sample submission.
    """
    problem = f"no column {ids} (columns: {examples(test.columns)})"
    if sample is None:
        raise UserError(f"{test.name}: {problem}. Rename its id column, or set --id-column.")
    return f"{problem}; using the ids in {sample.name}"


def _is_image(column: str, table: Table, images: ImageIndex) -> bool:
    """Whether the name of an id column is itself the id of an image."""
    is_specific = re.search(r"\d|\.", column)  # an image.jpg does not make "image" an id
    return bool(is_specific and images.find(column)) and column not in set(table.rows[column])
