"""Guess which columns of a table contain the ids, the labels and the groups."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence

import pandas as pd

from podium.core.errors import UserError, examples
from podium.dataset import spelling
from podium.dataset.image_files import ImageIndex
from podium.dataset.labels import NUMBER
from podium.init.guesses import Confidence, Guess, one_of, some_of
from podium.init.matching import IdColumn
from podium.init.sample import Sample
from podium.init.survey import Table

MIN_GROUPS = 5  # the default number of folds
LABEL_NAMES = (
    "label", "labels", "class", "target", "category", "diagnosis", "species", "breed", "y",
    "class_id", "label_id", "category_id", "class_name", "individual_id", "individual", "tags",
    "attribute_ids", "level", "grade", "score", "rating", "severity", "stage", "quality", "age",
    "count", "price", "value",
)  # fmt: skip
GROUP_NAME = re.compile(  # "PatientID" and "the_patient", not "age_group"
    r"(?i)(.*[_ ])?(patient|subject|individual|scene)([_ ]?(id|number|name|code))?"
    r"|(group|session)([_ ]?(id|number|name|code))?"
)
ID_NAME = re.compile(r"(?i)(.*[ _])?(id|name|file|filename|image)|.*I[dD]")
FOREIGN_ID_NAME = re.compile(r".*([_ ][iI][dD]|[a-z]I[dD])")


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


def guess_ids(table: Table, ids: IdColumn | None, images: ImageIndex) -> Guess:
    """The id column of the training table; None if no column (`ids`) identifies images.

    Raises:
        UserError: if the column's name is the id of an image, so the table has no header.
    """
    parse = one_of(table.columns, what=f"column of {table.name}")
    if ids is None:
        values = "; ".join(f"{c}: {examples(table.rows[c].tolist(), 2)}" for c in table.columns[:5])
        reason = (
            f"no column of {table.name} identifies image files ({values}); "
            f"the images are {examples(images.names, 3)}"
        )
        return Guess("prepare.id_column", None, "guess", reason, tuple(table.columns), parse)
    if _is_image(ids.name, table, images):
        raise UserError(
            f"{table.name}: seems to have no header: {ids.name!r} in the first line is the id of "
            "an image. Add a header, such as `id,label`."
        )
    others = tuple(column for column in table.columns if column != ids.name)
    if ids.match_rate == 1:
        return Guess("prepare.id_column", ids.name, "certain", "identifies images", others, parse)
    reason = f"{ids.match_rate:.0%} of its values identify images"
    return Guess("prepare.id_column", ids.name, "likely", reason, others, parse)


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


def guess_labels(table: Table, id_column: str | None, sample: Sample | None) -> Guess:
    """The label column of the training table, or a list with one column per class.

    Raises:
        UserError: if no column can contain labels.
    """
    candidates = table.rows[[column for column in table.columns if column != id_column]]
    varied = candidates[
        [column for column in candidates.columns if candidates[column].nunique() > 1]
    ]
    inferred = _from_sample(sample, candidates, varied) if sample is not None else None
    if inferred is None and varied.empty:
        names = examples([str(column) for column in candidates.columns])
        why = f"{names}: the same value in all rows" if names else f"{id_column} is its only column"
        raise UserError(f"{table.name}: no column can contain labels ({why}). Add one.")
    value, confidence, reason = inferred or _from_table(varied)
    others = [str(c) for c in varied.columns if isinstance(value, str) and c != value]
    parse = some_of([str(column) for column in candidates.columns], what=f"column of {table.name}")
    return Guess("prepare.label_column", value, confidence, reason, tuple(others), parse)


Inferred = tuple[str | list[str], Confidence, str]


def _from_sample(sample: Sample, candidates: pd.DataFrame, varied: pd.DataFrame) -> Inferred | None:
    targets = sample.targets
    if targets and set(targets) <= set(candidates.columns):
        value = targets if len(targets) > 1 else targets[0]
        return value, "certain", "also in the sample submission"
    for column in varied.columns if len(targets) > 1 else []:
        if set(candidates[column].str.strip()) == set(targets):
            return column, "certain", "its values are the columns of the sample submission"
    if column := _column_with_values_of(sample, varied):
        return column, "likely", "contains labels from the sample submission"
    return None


def _from_table(varied: pd.DataFrame) -> Inferred:
    columns = [str(column) for column in varied.columns]
    if named := _named(columns):
        return named, "likely" if len(columns) > 1 else "certain", "by its name"
    if len(columns) == 1:
        return columns[0], "certain", "the only column that can contain labels"
    flags = [column for column in columns if varied[column].isin(["0", "1"]).all()]
    if len(flags) > 1:
        confidence: Confidence = "likely" if flags == columns else "guess"
        return flags, confidence, "contain only 0 and 1: one column per class"
    fewest = min(columns, key=lambda column: varied[column].nunique())
    return fewest, "guess", f"has the fewest distinct values ({varied[fewest].nunique()})"


def guess_groups(table: Table, used: Collection[str | None]) -> Guess:
    """The column whose groups must stay in one fold, not one of `used`; None if there is none."""
    candidates = [column for column in table.columns if column not in used]
    repeated = [
        column
        for column in candidates
        if 1 < table.rows[column].nunique() < len(table.rows)
        and table.rows[column].str.strip().all()  # none is empty
    ]
    groups = [
        column
        for column in repeated
        if GROUP_NAME.fullmatch(column) and table.rows[column].nunique() >= MIN_GROUPS
    ]
    ids = [c for c in repeated if c not in groups and FOREIGN_ID_NAME.fullmatch(c)]
    confidence: Confidence = "likely"
    value: str | None = None
    if groups:
        value = groups[0]
        reason = f"{table.rows[value].nunique()} groups, each kept within one fold"
    elif ids:
        reason = f"{examples(ids)} has repeated values; choose it if they mark related images"
    else:
        confidence, reason = "certain", "no column looks like groups of related images"
    others = tuple(choice for choice in (*groups, *ids, None) if choice != value)
    parse = one_of(candidates, what=f"column of {table.name}", nullable=True)
    return Guess("prepare.group_column", value, confidence, reason, others, parse)


def guess_variants(labels: Sequence[str], targets: Sequence[str]) -> Guess | None:
    """What to do with labels that differ in case or whitespace only; None if there are none.

    They are merged, unless the sample submission (`targets`) distinguishes them.
    """
    groups = spelling.variants(labels)
    if not groups:
        return None
    value = "keep" if all(set(group) <= set(targets) for group in groups) else "merge"
    others = tuple(choice for choice in ("merge", "keep", "error") if choice != value)
    reason = f"labels differ in case or whitespace: {examples([*map(repr, groups[0])])}"
    return Guess("prepare.label_variants", value, "guess", reason, others)


def _is_image(column: str, table: Table, images: ImageIndex) -> bool:
    """Whether the name of an id column is itself the id of an image."""
    is_specific = re.search(r"\d|\.", column)  # an image.jpg does not make "image" an id
    return bool(is_specific and images.find(column)) and column not in set(table.rows[column])


def _column_with_values_of(sample: Sample, rows: pd.DataFrame) -> str:
    """The only column that contains the labels in the sample submission; "" if there is none."""
    if sample.value is None or NUMBER.fullmatch(sample.value):
        return ""
    labels = {sample.value}, set(sample.value.split())
    columns = []
    for column in rows.columns:
        values = set(rows[column].str.strip())
        if any(2 * len(names & values) >= len(names) for names in labels):
            columns.append(str(column))
    return columns[0] if len(columns) == 1 else ""


def _named(columns: Sequence[str]) -> str | None:
    """The column with a usual name for labels, else one with such a word in its name."""
    lower = {column.lower(): column for column in reversed(columns)}
    for name in LABEL_NAMES:
        if name in lower:
            return lower[name]
    for name in LABEL_NAMES:
        for column in columns:
            if name in re.split(r"[ _\-.]+", column.lower()):
                return column
    return None
