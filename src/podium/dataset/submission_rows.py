"""Sample submissions with one row per image and label: what each row is about."""

from collections.abc import Sequence

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, nfc
from podium.config.prepare import Prepare
from podium.core.errors import UserError, counted, examples
from podium.dataset import rows, submission_file
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
    spelled = {nfc(column): column for column in header}
    wanted = [name, *layout.lookup_columns]
    if missing := [column for column in wanted if nfc(column) not in spelled]:
        key = "lookup_csv" if missing[0] == name else "lookup_columns"
        raise UserError(
            f"{layout.lookup_csv} has no column {examples(missing)}; it has {', '.join(header)}. "
            f"Fix prepare.{key}."
        )
    table = archive.read_csv(path, [*dict.fromkeys(spelled[nfc(column)] for column in wanted)])
    table = table[[spelled[nfc(column)] for column in wanted]].set_axis(ROW_COLUMNS, axis=1)
    known = NameIndex(table["row"], ignore_case=False)
    found = {row: known.find(row) for row in ids}
    if lost := [row for row, own in found.items() if own is None]:
        raise UserError(
            f"{layout.lookup_csv} has no row for {counted(len(lost), 'id')} of "
            f"{layout.sample_submission}: {examples(lost)}. Add them."
        )
    rows.check_unique(table["row"], layout.lookup_csv)
    about = table.set_index("row").loc[[str(own) for own in found.values()]].reset_index()
    about["row"] = ids
    rows.check_ids(about, layout.lookup_csv)
    about["id"] = about["id"].map(nfc)
    if labels is not None:
        index = NameIndex(labels)
        names = {label: index.find(label) for label in about["label"].unique()}
        if unknown := [label for label, own in names.items() if own is None]:
            raise UserError(
                f"{layout.lookup_csv} asks for {examples(unknown)} in column "
                f"{layout.lookup_columns[1]}, but prepare.label_column has "
                f"{examples(labels)}. Fix label_column."
            )
        about["label"] = about["label"].map(names)
    return about
