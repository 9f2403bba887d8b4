"""Sample submissions with copied columns, ids in another column, or one row per label."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from podium.competition.text.names import NUMBER, NameIndex
from podium.core import csvs
from podium.core.errors import examples
from podium.dataset.image_files import ImageIndex
from podium.init import label_rows, long_rows, other_rows, row_kinds
from podium.init.long_rows import LongRows
from podium.init.matching import is_unnamed
from podium.init.other_jobs import submitted_job
from podium.init.recorder import Recorder
from podium.init.roles import find_sample_ids
from podium.init.row_kinds import SEPARATORS
from podium.init.survey import Survey, Table

USAGE = {"public", "private", "ignored"}  # in the column `Usage` of Kaggle's solutions


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
        else label_rows.find(sample, ids, others, survey)
    )
    if long is None:
        row_kinds.check(sample, others, survey.index)
        other_rows.check(survey, sample, others)
        return sample, survey, None
    for guess in long_rows.guesses(long, sample):
        record.take(guess)
    _note_columns(record, long, others)
    survey = long_rows.widen(survey, sample, ids, long)
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
