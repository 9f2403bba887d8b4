"""Sample submissions with copied columns, ids in another column, or one row per label."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from podium.competition.text.names import NUMBER, NameIndex
from podium.core import csvs
from podium.core.errors import examples
from podium.dataset import submission_file
from podium.dataset.image_files import ImageIndex
from podium.init import other_rows, row_kinds
from podium.init.guesses import Guess
from podium.init.matching import is_unnamed
from podium.init.other_jobs import submitted_job
from podium.init.recorder import Recorder
from podium.init.roles import find_sample_ids
from podium.init.row_kinds import SEPARATORS
from podium.init.survey import Survey, Table

MAX_TESTED = 5_000  # ids
USAGE = {"public", "private", "ignored"}  # in the column `Usage` of Kaggle's solutions


@dataclass(frozen=True)
class LongRows:
    """A sample submission with one row per image and label."""

    separator: str
    labels: list[str]
    train: str  # the table with these labels
    ids: str | None = None  # its id column; None: it has a column per label
    values: str | None = None  # its column of values, if it has an id column
    lists: tuple[str, ...] = ()  # other tables with the same rows


def read(record: Recorder, survey: Survey, sample: Table) -> tuple[Table, Survey, LongRows | None]:
    """Normalize the sample submission: one row per image, the id column first, no copied columns.
    Returns it, the survey with it, and the layout of its rows if it has one per label.
    """
    others = [table for table in survey.tables if table is not sample]
    ids = find_sample_ids(sample, others, survey.id_candidates)
    if copied := copied_columns(sample, ids, others, survey.folders):
        record.prepare["copied_columns"] = copied
        record.note(f"{sample.name}: copied to the submission: {examples(copied)}")
    columns = [column for column in sample.columns if column not in copied]
    if place := columns.index(ids):
        record.prepare["sample_id_column"] = ids
        record.note(f"{sample.name}: the ids are in column {ids}; the submission keeps that order")
    sample = replace(sample, rows=csvs.id_first(sample.rows[columns], place))
    long = (
        None
        if _has_labels(sample, ids, others, survey.index)
        else find_long(sample, ids, others, survey.index)
    )
    if long is None:
        row_kinds.check(sample, others, survey.index)
        other_rows.check(survey, sample, others)
        return sample, survey, None
    record.take(guess_separator(long, sample))
    _note_columns(record, long, others)
    survey = widen(survey, sample, ids, long)
    kept = {table.name: table for table in survey.tables}
    long = replace(long, lists=tuple(t.name for t in others if t.name not in kept))
    return kept[sample.name], survey, long


def _note_columns(record: Recorder, long: LongRows, tables: Sequence[Table]) -> None:
    """Note the columns that a training table with a row per label has, and that are not used."""
    train = next(table for table in tables if table.name == long.train)
    if long.values is not None:
        of_labels = [c for c in train.columns if {*train.rows[c].unique()} == {*long.labels}]
        used = {long.ids, long.values, *of_labels}
        if unused := [column for column in train.columns if column not in used]:
            record.note(f"{train.name}: columns not used: {examples(unused)}")


def copied_columns(
    sample: Table, ids: str, others: Sequence[Table], folders: Iterable[str]
) -> list[str]:
    """The columns of the sample submission that are not predictions: an unnamed index, columns of
    the test table, and texts that are not labels. One column is always a prediction.

    Columns of predictions may be named after labels in other tables, or after class folders.
    """
    targets = [column for column in sample.columns if column != ids]
    copied = [column for column in targets if _is_copied(column, sample, ids, others, folders)]
    return copied if len(copied) < len(targets) else []


def _is_copied(
    column: str, sample: Table, ids: str, others: Sequence[Table], folders: Iterable[str]
) -> bool:
    cells = {value.strip() for value in sample.rows[column].unique()}
    if is_unnamed(column) or {cell.casefold() for cell in cells} <= USAGE:
        return True
    tests = [t for t in others if t.has_word("test") and {ids, column} <= {*t.columns}]
    rows = {*zip(sample.rows[ids], sample.rows[column], strict=True)} if tests else set()
    if any(rows <= {*zip(t.rows[ids], t.rows[column], strict=True)} for t in tests):
        return True
    if all(NUMBER.fullmatch(cell) for cell in cells) or submitted_job(column) is not None:
        return False
    is_target = any(NameIndex(table.columns).find(column) for table in others)
    known = {column, *cells} - {""}
    is_class = any(known & {*table.rows[c]} for table in others for c in table.columns)
    is_folder = any(column in folder.split("/") for folder in folders)
    return not (is_target or is_class or is_folder)


def find_long(
    sample: Table, ids: str, others: Sequence[Table], images: ImageIndex
) -> LongRows | None:
    """Detect whether the ids of a sample submission with one column of predictions end with labels,
    which are columns of another table or end its ids, too.
    """
    values = sample.rows[ids].tolist()
    if sample.rows.shape[1] != len(("id", "value")) or any(map(images.find, values[:MAX_TESTED])):
        return None
    for separator in SEPARATORS:
        labels = submission_file.find_labels(values, separator)
        for table in others:
            heads = values[:MAX_TESTED]
            ends = [c for c in table.columns if any(v.endswith(separator + c) for v in heads)]
            if len(ends) > 1 and _end_with(values, ends, separator):
                order = labels if {*labels} == {*ends} else ends
                return LongRows(separator, order, table.name)
        for table in others:
            found = _find_long_train(table, sample, values, (separator, labels), images)
            if found is not None:
                return found
    return None


def _has_labels(sample: Table, ids: str, others: Sequence[Table], images: ImageIndex) -> bool:
    """Whether a test table lists the sample's ids, and a training table has the same columns, with
    other labels than 0 and 1 of each row's label. What precedes a label is not an image.
    """
    known, columns = {*sample.rows[ids]}, {*sample.columns}
    heads = [sample.rows[ids].iloc[0].rpartition(separator)[0] for separator in SEPARATORS]
    if any(head and images.find(head) for head in heads):
        return False
    tests = [t for t in others if t.has_word("test") and ids in t.columns]
    trains = [t for t in others if t.has_word("train") and columns <= {*t.columns}]
    targets = [column for column in sample.columns if column != ids]
    is_listed = any(known <= {*table.rows[ids]} for table in tests)
    flags = {"0", "1", "0.0", "1.0"}
    return is_listed and any(not {*t.rows[c].unique()} <= flags for t in trains for c in targets)


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
                return LongRows(separator, known, table.name, column, numbers[0])
    return None


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


def widen(survey: Survey, sample: Table, ids: str, found: LongRows) -> Survey:
    """Reshape the sample submission to one row per image, and the training table if its ids end
    with labels, too. Drops tables that list the sample's rows.
    """
    listed, values = {*sample.rows[ids]}, next(c for c in sample.columns if c != ids)
    tables = []
    for table in survey.tables:
        if table.name == sample.name:
            rows = _pivot(sample.rows, ids, found, values)
            tables.append(replace(table, rows=rows))
        elif table.name == found.train and found.values is not None:
            rows = _pivot(table.rows, str(found.ids), found, found.values)
            tables.append(replace(table, rows=rows))
        elif not any({*table.rows[column]} == listed for column in table.columns):
            tables.append(table)
    return replace(survey, tables=tables)


def _pivot(rows: pd.DataFrame, ids: str, found: LongRows, values: str) -> pd.DataFrame:
    return submission_file.pivot(
        rows[ids].tolist(), rows[values], found.separator, found.labels, name=ids
    )


def guess_separator(found: LongRows, sample: Table) -> Guess:
    """The separator between image id and label."""
    labels = examples(found.labels, 3)
    reason = f"{sample.name} has a row for each of {len(found.labels)} labels per image: {labels}"
    return Guess("prepare.id_label_separator", found.separator, "certain", reason)
