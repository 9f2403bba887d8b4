"""Sample submissions with one row per image and label: what each row is about."""

from collections.abc import Sequence

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, nfc
from podium.config.prepare import Prepare
from podium.core.errors import UserError, counted, examples
from podium.dataset import rows, submission_file
from podium.dataset.spelling import SampleNames
from podium.dataset.submission_file import ROW_COLUMNS
from podium.dataset.table_columns import find


def read(
    archive: Archive, layout: Prepare, sample: pd.DataFrame, labels: Sequence[str] | None
) -> pd.DataFrame | None:
    """The image id and the label of each row of `sample`, whose first column is the id: see
    `SubmissionFile.rows`. None if `layout` says that there is one row per image.

    `labels`: those of the training images; None: inferred from the ids.

    Raises:
        UserError: if a row's image and label cannot be found, or two rows have the same. Without
            `labels`, each image must have a row for each label.
    """
    ids, name = sample.iloc[:, 0].tolist(), str(sample.columns[0])
    if layout.lookup_csv is not None:
        about = _look_up(archive, layout, ids, name, labels)
    elif layout.id_label_separator is not None:
        separator = layout.id_label_separator
        about = submission_file.split_rows(ids, separator, labels, name=name)
        if labels is None:
            submission_file.check_complete(about, about["label"].unique().tolist())
    else:
        return None
    if repeated := about.loc[about.duplicated(["id", "label"]), "row"].tolist():
        raise UserError(
            f"{layout.sample_submission} has several rows for a label of an image: "
            f"{examples(repeated)}. Keep one of them."
        )
    return about


def _look_up(
    archive: Archive, layout: Prepare, ids: list[str], name: str, labels: Sequence[str] | None
) -> pd.DataFrame:
    """What `lookup_csv` says about the rows `ids` of the sample submission's column `name`."""
    assert layout.lookup_csv is not None and layout.lookup_columns is not None
    path = find(archive, layout.lookup_csv, "lookup_csv")
    header = archive.header(path)
    index = NameIndex(header)
    wanted = [name, *layout.lookup_columns]
    found = {column: index.find(column) for column in wanted}
    if missing := [column for column in wanted if found[column] is None]:
        key = "lookup_csv" if missing[0] == name else "lookup_columns"
        raise UserError(
            f"{layout.lookup_csv} has no column {examples(missing)}; it has {', '.join(header)}. "
            f"Fix prepare.{key}."
        )
    columns = [str(found[column]) for column in wanted]
    table = archive.read_csv(path, [*dict.fromkeys(columns)])[columns]
    return look_up(table, ids, labels, layout.lookup_csv, str(layout.sample_submission))


def look_up(
    table: pd.DataFrame, ids: list[str], labels: Sequence[str] | None, name: str, sample_name: str
) -> pd.DataFrame:
    """What the rows `ids` of a sample submission are about (see `SubmissionFile.rows`): what a
    `table` with the columns of row ids, image ids and labels says. `labels`: as for `read`. `name`
    and `sample_name` are the tables' own.

    Raises:
        UserError: if the table lacks one of these rows, has several for one, an empty cell, or an
            unknown label.
    """
    column = str(table.columns[-1])
    table = table.set_axis(ROW_COLUMNS, axis=1)
    known = NameIndex(table["row"], ignore_case=False)
    found = {row: known.find(row) for row in ids}
    if lost := [row for row, own in found.items() if own is None]:
        raise UserError(
            f"{name} has no row for {counted(len(lost), 'id')} of {sample_name}: {examples(lost)}. "
            "Add them."
        )
    rows.check_unique(table["row"], name)
    about = table.set_index("row").loc[[str(own) for own in found.values()]].reset_index()
    about["row"] = ids
    rows.check_ids(about, name)
    about["id"] = about["id"].map(nfc)
    if labels is not None:
        spelled = spell(about["label"].unique().tolist(), labels)
        if unknown := [label for label, own in spelled.items() if own is None]:
            raise UserError(
                f"{name} asks for {examples(unknown)} in column {column}, but the labels are "
                f"{examples(labels)}. Fix prepare.label_column, or lookup_columns."
            )
        about["label"] = about["label"].map(spelled)
    return about


def spell(labels: Sequence[str], columns: Sequence[str]) -> dict[str, str | None]:
    """The column of each label: of the same name, or with the same words (eye_x for "Eye X"); None
    if there is none.
    """
    index, names = NameIndex(columns), SampleNames(pd.DataFrame(columns=["", *columns]))
    words = names.spell_words(labels)
    return {label: index.find(label) or words.get(label) for label in labels}
