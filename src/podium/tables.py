"""The competition's tables, checked and in one form: `id`, `label` and, where given, `group`."""

from dataclasses import dataclass

import pandas as pd

from podium.archive import Archive
from podium.errors import UserError, examples
from podium.schema import Prepare


@dataclass(frozen=True)
class Tables:
    """What a competition's CSV files say."""

    train: pd.DataFrame  # id, label[, group]
    test: pd.DataFrame  # id
    sample: pd.DataFrame  # the sample submission, or what it would be
    classes: list[str]  # sorted


def read(archive: Archive, layout: Prepare) -> Tables:
    """Read and check the tables of a competition.

    Raises:
        UserError: for columns that are not there, no rows, duplicate ids, missing labels, a single
            class, and a sample submission whose ids are not the test ids or whose columns are
            neither a label nor the classes.
    """
    columns = {layout.id_column: "id", layout.label_column: "label"}
    if layout.group_column is not None:
        columns[layout.group_column] = "group"
    train = _columns(archive, layout.train_csv, columns)
    for column in train.columns:
        if empty := train.loc[train[column] == "", "id"].tolist():
            raise UserError(
                f"{layout.train_csv}: {len(empty)} rows have no {column}: {examples(empty)}"
            )
    classes = _in_order(train["label"].unique().tolist())
    if len(classes) < 2:
        raise UserError(f"{layout.train_csv}: all labels are {classes[0]!r}: nothing to learn")

    sample = None
    if layout.sample_submission is not None:
        sample = archive.read_csv(layout.sample_submission)
    if layout.test_csv is not None:
        test = _columns(archive, layout.test_csv, {layout.id_column: "id"})
    else:
        assert sample is not None  # Prepare has checked it
        test = sample.iloc[:, :1].set_axis(["id"], axis=1)
    if sample is None:
        sample = pd.DataFrame({layout.id_column: test["id"], layout.label_column: ""})
    _check_same_ids(sample.iloc[:, 0], test["id"], layout)
    targets = sample.columns[1:].tolist()
    if len(targets) != 1 and sorted(targets) != sorted(classes):
        raise UserError(
            f"{layout.sample_submission} has the columns {', '.join(sample.columns)}: after the id "
            f"it must have one label or one column for each class: {', '.join(classes)}"
        )
    return Tables(train, test, sample, classes)


def _columns(archive: Archive, name: str, columns: dict[str, str]) -> pd.DataFrame:
    """Those columns of a CSV, renamed; the ids must be there and unique."""
    table = archive.read_csv(name)
    if missing := [column for column in columns if column not in table.columns]:
        raise UserError(
            f"{name} has no column {examples(missing)}; it has {', '.join(table.columns)}"
        )
    table = table[list(columns)].rename(columns=columns)
    _check_ids(table, name)
    return table


def _check_ids(table: pd.DataFrame, name: str) -> None:
    if table.empty:
        raise UserError(f"{name} has no rows")
    if empty := (table["id"].str.strip() == "").sum():
        raise UserError(f"{name}: {empty} rows have no id")
    duplicated = table.loc[table["id"].duplicated(), "id"].unique().tolist()
    if duplicated:
        raise UserError(
            f"{name}: {len(duplicated)} ids stand in several rows: {examples(duplicated)}"
        )


def _check_same_ids(sample: pd.Series, test: pd.Series, layout: Prepare) -> None:
    _check_ids(pd.DataFrame({"id": sample}), str(layout.sample_submission))
    unknown, missing = set(sample) - set(test), set(test) - set(sample)
    if unknown or missing:
        raise UserError(
            f"the ids of {layout.sample_submission} are not those of {layout.test_csv}: "
            f"{len(unknown)} only in the first ({examples(sorted(unknown)) or 'none'}), "
            f"{len(missing)} only in the second ({examples(sorted(missing)) or 'none'})"
        )


def _in_order(labels: list[str]) -> list[str]:
    """Sorted, as numbers where all are: the order of rows plays no part."""
    if all(label.isascii() and label.isdigit() for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)
