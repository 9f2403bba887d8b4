"""Detect sample submissions with one row per image and label or target."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from podium.competition.text.names import NUMBER, NameIndex
from podium.core.errors import UserError, examples
from podium.dataset import submission_file, submission_rows
from podium.dataset.image_files import ImageIndex
from podium.dataset.labels import flags
from podium.dataset.spelling import SampleNames, unify
from podium.init.long_rows import LongRows
from podium.init.row_kinds import SEPARATORS
from podium.init.survey import Survey, Table

MAX_TESTED = 5_000  # ids
MAX_TESTED_ROWS = 1_000
MAX_LABELS = 200  # of a lookup table


def find(sample: Table, ids: str, others: Sequence[Table], survey: Survey) -> LongRows | None:
    """Detect whether each row of a sample submission is about an image and a label or target: its
    id ends with it, or another table says it. Each label is a column of a table, or what the ids of
    a table end with. Several columns of predictions must be one for each class of each label.
    """
    values, images = sample.rows[ids].tolist(), survey.index
    if (columns := [column for column in sample.columns if column != ids])[1:]:
        found = _find_separator(sample, values, others, images)
        found = found or _find_lookup(values, ids, sample, others, survey)
        if found is None or not _are_classes(found, columns, others):
            return None
        return replace(found, classes=tuple(columns))
    are_images = any(map(images.find, values[:MAX_TESTED]))
    found = None if are_images else _find_separator(sample, values, others, images)
    found = found or _find_lookup(values, ids, sample, others, survey)
    return found if found or are_images else _find_some(values, others, survey)


def _find_separator(
    sample: Table, ids: list[str], others: Sequence[Table], images: ImageIndex
) -> LongRows | None:
    """A separator between images and labels, with a row for each label of each image."""
    for separator in SEPARATORS:
        labels = submission_file.find_labels(ids, separator)
        for table in others:
            ends = _ends(table, ids, separator)
            if len(ends) > 1 and _is_grid(ids, ends, separator):
                order = labels if {*labels} == {*ends} else ends
                return _split(ids, separator, order, table.name)
        for table in others:
            found = _find_long_train(table, sample, ids, (separator, labels), images)
            if found is not None:
                return found
    return None


def _find_long_train(
    table: Table, sample: Table, ids: list[str], ends: tuple[str, list[str]], images: ImageIndex
) -> LongRows | None:
    """Detect whether the ids of a training table end with a separator and labels (`ends`); without
    labels, if the sample submission has one image, with labels that its `ids` end with, too.
    """
    separator, labels = ends
    if table.pixels is not None or not (labels or table.has_word("train", "label")):
        return None
    for column in table.columns:
        names = table.rows[column].tolist()
        are_images = any(map(images.find, names[:MAX_TESTED]))
        is_test = {*names} <= {*ids}
        if are_images or is_test or not all(separator in name for name in names):
            continue
        known = labels or submission_file.find_labels(names, separator)
        if known and _end_with(names, known, separator) and _is_grid(ids, known, separator):
            numbers = [c for c in table.columns if c != column and _is_numeric(table, c)]
            numbers = [c for c in numbers if c in sample.columns] or numbers
            if len(numbers) == 1:
                found = _split(ids, separator, known, table.name)
                return replace(found, ids=column, values=numbers[0])
    return None


def _find_lookup(
    ids: list[str], name: str, sample: Table, others: Sequence[Table], survey: Survey
) -> LongRows | None:
    """A table with the image and the label of each row: two of its columns, the first with images
    or ids of another table, the second with names of another table's columns.

    Raises:
        UserError: if most of such a table fits, and the rest does not.
    """
    tested = ids[:: max(1, len(ids) // MAX_TESTED_ROWS)]
    for table in others:
        own = NameIndex(table.columns).find(name)
        if own is None or not _are_mostly(tested, table.rows[own]):
            continue
        for label in [column for column in table.columns if column != own]:
            asked = [cell for cell in table.rows[label].unique() if cell.strip()]
            if not 0 < len(asked) <= MAX_LABELS or NUMBER.fullmatch(asked[0]):
                continue
            for train in (other for other in others if other is not table):
                spelled = {*submission_rows.spell(asked, train.columns).values()} - {None}
                if 2 * len(spelled) < len(asked):
                    continue
                columns = own, label
                found = _read_lookup(table, columns, train, ids, sample, others, survey)
                if found is not None:
                    return found
    return None


def _read_lookup(
    table: Table,
    columns: tuple[str, str],
    train: Table,
    ids: list[str],
    sample: Table,
    others: Sequence[Table],
    survey: Survey,
) -> LongRows | None:
    """The rows of a table whose `columns` have the rows' ids and labels."""
    own, label = columns
    known = [t for t in others if t not in (table, train)] or [train]
    rest = [column for column in table.columns if column not in columns]
    of_images = [c for c in rest if _has_images(table.rows[c], c, known, survey)]
    if not of_images and table.rows[label].nunique() == 1:
        return None  # by chance
    if not of_images:
        shown = "; ".join(f"{c}: {examples(table.rows[c].tolist(), 2)}" for c in rest) or "no other"
        raise UserError(
            f"{table.name}: the column {label} says what each {own} of {sample.name} is about, but "
            f"no column has the ids of test images ({shown}). Write them as the files are named."
        )
    rows = table.rows[[own, of_images[0], label]]
    labels = list(train.columns)
    about = submission_rows.look_up(rows, ids, labels, table.name, sample.name)
    lookup = table.name, of_images[0], label
    return LongRows(about, _labels(train, about, others), train.name, lookup=lookup)


def _are_mostly(names: Sequence[str], known: pd.Series) -> bool:
    index = NameIndex(known.unique(), ignore_case=False)
    return 2 * sum(index.find(name) is not None for name in names) >= len(names)


def _find_some(ids: list[str], others: Sequence[Table], survey: Survey) -> LongRows | None:
    """A separator between images and labels, with rows for some labels of each image."""
    for separator in SEPARATORS:
        for table in others:
            ends = _ends(table, ids, separator)
            if not ends or not _end_with(ids, ends, separator):
                continue
            found = _split(ids, separator, ends, table.name)
            labels = _labels(table, found.rows, others)
            if len(labels) > 1 and _are_images(found.rows["id"].unique().tolist(), survey):
                return replace(found, labels=labels)
    return None


def _split(ids: list[str], separator: str, labels: list[str], train: str) -> LongRows:
    rows = submission_file.split_rows(ids, separator, labels, name="id")
    return LongRows(rows, labels, train, separator=separator)


def _are_classes(found: LongRows, columns: Sequence[str], tables: Sequence[Table]) -> bool:
    """Whether the labels that a training table has a column for have no other values."""
    train = next(table for table in tables if table.name == found.train)
    if found.values is not None:
        return False
    sample = SampleNames(pd.DataFrame(columns=["id", *columns]))
    for label in found.labels:
        cells = {cell.strip() for cell in train.rows[label].unique()} - {""}
        if not {*unify(Counter(cells), sample).values()} <= {*columns}:
            return False
    return True


def _ends(table: Table, ids: Sequence[str], separator: str) -> list[str]:
    """The columns of a table that some of the ids end with."""
    heads = ids[:MAX_TESTED]
    return [c for c in table.columns if any(v.endswith(separator + c) for v in heads)]


def _labels(train: Table, about: pd.DataFrame, others: Sequence[Table]) -> list[str]:
    """The columns of a training table that the rows are `about`, in its order. If these are 0 and 1
    and each image has one row, the other such columns are labels, too, which rows to come may ask
    for; but not those that another table has.
    """
    chosen = {*about["label"]}
    if about["id"].is_unique and flags(train.rows[[*chosen]]).notna().all(axis=None):
        elsewhere = {column for table in others if table is not train for column in table.columns}
        free = [c for c in train.columns if c not in elsewhere and train.rows[c].nunique() == 2]
        chosen |= {c for c in free if flags(train.rows[[c]]).notna().all(axis=None)}
    return [column for column in train.columns if column in chosen]


def _has_images(cells: pd.Series, name: str, tables: Sequence[Table], survey: Survey) -> bool:
    """Whether most cells are images, folders of images, or ids of another table's column of this
    name.
    """
    names = cells.unique()[:MAX_TESTED_ROWS].tolist()
    if any(name in t.columns and _are_mostly(names, t.rows[name]) for t in tables):
        return True
    return 2 * sum(_known_images(names, survey)) >= len(names)


def _are_images(names: Sequence[str], survey: Survey) -> bool:
    """Whether all are images or folders of images."""
    return all(_known_images(names[:MAX_TESTED], survey))


def _known_images(names: Sequence[str], survey: Survey) -> list[bool]:
    parts = {part for path in survey.images for part in path.split("/")[:-1]}
    return [name in parts or bool(survey.index.find(name)) for name in names]


def _end_with(ids: Sequence[str], labels: Sequence[str], separator: str) -> bool:
    known = {*labels}
    return all(submission_file.split(image, known, separator) for image in ids)


def _is_grid(ids: Sequence[str], labels: Sequence[str], separator: str) -> bool:
    """Whether `ids` are all combinations of some images with `labels`."""
    known = {*labels}
    pairs = {submission_file.split(image, known, separator) for image in ids}
    heads = {pair[0] for pair in pairs if pair is not None}
    return None not in pairs and len(pairs) == len(heads) * len(known)


def _is_numeric(table: Table, column: str) -> bool:
    return all(NUMBER.fullmatch(value.strip()) for value in table.rows[column].unique())
