"""Guess which column of a table contains the ids of the images."""

import re
from collections.abc import Sequence
from itertools import combinations

from podium.competition.text.names import NameIndex
from podium.core.errors import UserError, counted, examples, listed
from podium.dataset.image_files import ImageIndex
from podium.init.guesses import Confidence, Guess, one_of, some_of
from podium.init.id_patterns import IdPattern
from podium.init.matching import IdColumn, is_unnamed
from podium.init.roles import Roles
from podium.init.survey import Survey, Table

ID_NAME = re.compile(r"(?i:(.*[ _])?(id|name|file|filename|image))|.*[a-z\d]I[dD]")


def also_in_test(survey: Survey, train: Table, test: Table | None) -> list[IdColumn]:
    """The columns of the training table that identify images; if possible, only those that also do
    so in the test table.
    """
    candidates = survey.id_candidates[train.name]
    if test is None:
        return candidates
    known = {column.name for column in survey.id_candidates[test.name]}
    return [c for c in candidates if c.name in known or c.name not in test.columns] or candidates


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
        if column := _without_zeros(table, images):
            reason += f". The ids in {column} lack the leading zeros of the file names"
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
        do = "does" if len(rivals) == 1 else "do"
        confidence, reason = "guess", f"{reason}, but so {do} {listed(rivals)}"
    return Guess("prepare.id_column", ids.name, confidence, reason, others, parse)


def guess_ids_in_names(table: Table, found: IdPattern) -> Guess:
    """The id column of the training table, whose values are part of the names of images."""
    others = tuple(column for column in table.columns if column != found.column)
    parse = one_of(table.columns, what=f"column of {table.name}")
    return Guess("prepare.id_column", found.column, "likely", found.reason, others, parse)


def guess_submission_ids(survey: Survey, tables: Roles, ids: str) -> Guess | None:
    """The column of the test table with the ids of the sample submission, if its images, in the
    column `ids` or one of another name, are not these; None if they are, or there is none.
    """
    test, expected = tables.test, tables.sample_ids
    if test is None or expected is None:
        return None
    if ids not in test.columns:
        other = survey.id_columns[test.name]
        if other is None:
            return None
        ids = other.name
    known = NameIndex(expected, ignore_case=False)

    def is_submitted(column: str) -> bool:
        return {known.find(value) for value in test.rows[column].unique()} == {*expected}

    if is_submitted(ids):
        return None
    columns = [column for column in test.columns if is_submitted(column)]
    if not columns:
        return None
    reason = (
        f"has the {counted(len(expected), 'id')} of the sample submission, of "
        f"{counted(len(test.rows), 'image')}"
    )
    others = tuple(columns[1:])
    return Guess("prepare.submission_id_column", columns[0], "certain", reason, others)


def check_one_way(submitted: Guess, ids: str, pattern: str | None) -> None:
    """Check that images are combined either by `pattern` or by the `submitted` ids.

    Raises:
        UserError: if by both.
    """
    if pattern is not None:
        raise UserError(
            f"the submission's ids are in column {submitted.value}, but images are matched by "
            f"column {ids} and the pattern {pattern}. Name the images or their folders after "
            f"{submitted.value}, or give both tables a column with the name of one image per row."
        )


def guess_unit_column(
    train: Table, test: Table, ids: str, submitted: str, labels: str | Sequence[str]
) -> Guess:
    """The columns that say which training images belong together as those of one submission id:
    columns of both tables that do so in the test table, all those whose values are parts of the
    submission id, or the fewest; None if there are none. A unit's images have the same `labels`.
    """
    key, reason = "prepare.unit_column", f"{train.name} has column {submitted}, too"
    parse = some_of(train.columns, what=f"column of {train.name}", nullable=True)
    if submitted in train.columns:
        return Guess(key, None, "certain", reason, parse=parse)
    units = test.rows[submitted].nunique()
    if units == len(test.rows):
        return Guess(key, None, "certain", f"{submitted}: one image per id", parse=parse)
    label_columns = [labels] if isinstance(labels, str) else [*labels]
    shared = [c for c in test.columns if c in train.columns and c not in (ids, *label_columns)]

    def is_part(column: str) -> bool:
        pairs = zip(test.rows[column], test.rows[submitted], strict=True)
        return all(value in re.split(r"[\W_]", unit) for value, unit in pairs)

    parts = [column for column in shared if is_part(column)]
    for names in [parts, *(list(c) for n in (1, 2, 3) for c in combinations(shared, n))]:
        if not names:
            continue
        counts = train.rows.groupby(names)[label_columns].nunique()
        rows = len(test.rows[[*names, submitted]].drop_duplicates())
        if test.rows.groupby(names).ngroups == units == rows and (counts == 1).all(axis=None):
            reason = f"distinguishes the ids in {submitted} in {test.name}"
            value = names if len(names) > 1 else names[0]
            return Guess(key, value, "likely", reason, parse=parse)
    reason = "no columns tell submission ids apart: images are scored one by one out of fold"
    return Guess(key, None, "guess", reason, tuple(shared), parse)


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


def find_row_ids(test: Table, train: Table, sample: Table | None) -> str | None:
    """The column of a test table of pixels with the sample submission's ids, if its rows are others
    than those of the sample submission, or in another order; None if they need no column.
    """
    expected = [] if sample is None else sample.rows.iloc[:, 0].tolist()
    for column in test.columns if expected else ():
        ids = test.rows[column].tolist()
        if column not in train.columns and ids != expected and {*expected} <= {*ids}:
            return column if test.rows[column].is_unique else None
    return None


def why_sample_ids(test: Table, sample: Table | None, ids: str) -> str:
    """Why the ids are taken from the sample submission rather than from the test table.

    Raises:
        UserError: if there is no sample submission.
    """
    problem = f"no column {ids} (columns: {examples(test.columns)})"
    if sample is None:
        raise UserError(f"{test.name}: {problem}. Rename its id column, or set --id-column.")
    return f"{problem}; using the ids in {sample.name}"


def _without_zeros(table: Table, images: ImageIndex) -> str | None:
    """A column with image names that lack their leading zeros; None if there is none."""
    stems = {name.rpartition("/")[2].rpartition(".")[0] for name in images.names}
    numbers = {stem.lstrip("0") or "0" for stem in stems if stem.isdecimal()}
    columns = [c for c in table.columns if numbers and {*table.rows[c]} <= numbers]
    return columns[0] if columns else None


def _is_image(column: str, table: Table, images: ImageIndex) -> bool:
    """Whether the name of an id column is itself the id of an image."""
    is_specific = re.search(r"\d|\.", column)  # an image.jpg does not make "image" an id
    return bool(is_specific and images.find(column)) and column not in set(table.rows[column])
