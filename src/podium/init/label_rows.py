"""Detect sample submissions with one row per image and label or target."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from podium.competition.text.names import NUMBER, NameIndex
from podium.dataset import submission_file
from podium.dataset.image_files import ImageIndex
from podium.dataset.labels import flags
from podium.dataset.spelling import SampleNames, unify
from podium.dataset.submission_file import ROW_COLUMNS
from podium.init.long_rows import LongRows
from podium.init.row_kinds import SEPARATORS
from podium.init.survey import Survey, Table

MAX_TESTED = 5_000  # ids


def find(sample: Table, ids: str, others: Sequence[Table], survey: Survey) -> LongRows | None:
    """Detect whether each row of a sample submission is about an image and a label or target: its
    id ends with it, or another table says it. Each label is a column of a table, or what the ids of
    a table end with. Several columns of predictions must be one for each class of each label.
    """
    values, images = sample.rows[ids].tolist(), survey.index
    if (columns := [column for column in sample.columns if column != ids])[1:]:
        found = _find_separator(sample, values, others, images)
        found = found or _find_lookup(values, ids, others, survey)
        if found is None or not _are_classes(found, columns, others):
            return None
        return replace(found, classes=tuple(columns))
    are_images = any(map(images.find, values[:MAX_TESTED]))
    found = None if are_images else _find_separator(sample, values, others, images)
    found = found or _find_lookup(values, ids, others, survey)
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
    ids: list[str], name: str, others: Sequence[Table], survey: Survey
) -> LongRows | None:
    """A table with the image and the label of each row: two of its columns, the first with images
    or ids of another table, the second with names of another table's columns.
    """
    wanted, indexes = {*ids}, {table.name: NameIndex(table.columns) for table in others}
    for table in others:
        if name not in table.columns or not wanted <= {*table.rows[name]}:
            continue
        rows = table.rows[table.rows[name].isin(wanted)]
        rest = [column for column in table.columns if column != name]
        for label in rest if rows[name].is_unique else ():
            for train in (other for other in others if other is not table):
                index = indexes[train.name]
                if index.find(rows[label].iloc[0]) is None or NUMBER.fullmatch(rows[label].iloc[0]):
                    continue
                spelled = {cell: index.find(cell) for cell in rows[label].unique()}
                known = [t for t in others if t not in (table, train)] or [train]
                of_images = [
                    c for c in rest if c != label and _has_images(rows[c], c, known, survey)
                ]
                of_images = [c for c in of_images if not rows.duplicated([c, label]).any()]
                if None in spelled.values() or not of_images:
                    continue
                about = rows[[name, of_images[0], label]].set_axis(ROW_COLUMNS, axis=1)
                about = about.assign(label=about["label"].map(spelled))
                about = about.set_index("row").loc[ids].reset_index()
                labels = _labels(train, about, others)
                if len(labels) > 1:
                    lookup = table.name, of_images[0], label
                    return LongRows(about, labels, train.name, lookup=lookup)
    return None


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
    """Whether a column has images, folders of images, or ids of another table of the same name."""
    names = cells.unique().tolist()
    if any(name in t.columns and {*names} <= {*t.rows[name]} for t in tables):
        return True
    return _are_images(names, survey)


def _are_images(names: Sequence[str], survey: Survey) -> bool:
    """Whether all are images or folders of images."""
    parts = {part for path in survey.images for part in path.split("/")[:-1]}
    return all(name in parts or survey.index.find(name) for name in names[:MAX_TESTED])


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
