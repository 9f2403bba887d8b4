"""Tables of labeled validation images, which can also be trained on."""

import posixpath
from collections.abc import Mapping, Sequence

import pandas as pd

from podium.core.errors import UserError, counted, examples
from podium.init import folders
from podium.init.guesses import Guess
from podium.init.matching import matching_folders
from podium.init.recorder import Recorder
from podium.init.survey import Survey, Table
from podium.init.words import has_word


def read(record: Recorder, survey: Survey, train: Table, ids: str) -> None:
    """Offer tables of validation images with the columns and the labels of the training table, and
    the folders of their images: a folder each, or all in the folder of the training images.
    """
    used, folder = record.prepare.get("test_csv"), record.prepare["train_images"]
    tables = [t for t in survey.tables if t.name != used and is_validation(t, train)]
    tables = [t for t in tables if _has_labels_of(t, train, record)]
    of_tables = {t.name: _folder(t.rows[ids], survey, folder, train.rows[ids]) for t in tables}
    found = [name for name, own in of_tables.items() if own not in (None, folder)]
    found = found or [name for name, own in of_tables.items() if own == folder]
    tables = _distinct([t for t in tables if t.name in found], ids, of_tables, folder)
    found = [table.name for table in tables]
    if not found or "images" in record.prepare:
        return
    count = sum(len(table.rows) for table in tables)
    chosen = record.take(_guess(found, count))
    if more := [own for name in chosen if (own := of_tables[name]) not in (None, folder)]:
        record.prepare["more_train_images"] = more


def _distinct(
    tables: Sequence[Table], ids: str, of_tables: Mapping[str, str | None], train: str
) -> list[Table]:
    """The tables without those that list images of another one, as in folders of other sizes: the
    ones nearest to the folder `train` of the training images are kept.
    """

    def distance(table: Table) -> tuple[int, int]:
        return _distance(of_tables[table.name] or "", train), _distance(table.name, train)

    kept, known = list[Table](), set[str]()
    for table in sorted(tables, key=distance):
        own = {*table.rows[ids]}
        if known.isdisjoint(own):
            kept.append(table)
        known |= own
    return kept


def _distance(path: str, folder: str) -> int:
    """How many folders of `path` are not also above or equal to `folder`, less those that are."""
    parts = path.split("/")
    shared = len(posixpath.commonprefix([parts, folder.split("/")]))
    return len(parts) - 2 * shared


def is_validation(table: Table, train: Table) -> bool:
    """Whether a table is named after a validation set and has the training table's columns."""
    is_named = table.has_word("val") and not table.has_word("test", "sample", "submission")
    return table.name != train.name and is_named and {*train.columns} <= {*table.columns}


def _has_labels_of(table: Table, train: Table, record: Recorder) -> bool:
    """Whether the table has labels, of the classes that the training table has."""
    columns = record.prepare["label_column"]
    for name in [columns] if isinstance(columns, str) else columns:
        cells = {*table.rows[name].str.strip()}
        are_classes = record.layout.task in ("binary", "multiclass")
        if "" in cells or (are_classes and not cells <= {*train.rows[name].str.strip()}):
            return False
    return True


def _folder(ids: pd.Series, survey: Survey, train: str, train_ids: pd.Series) -> str | None:
    """The folder with all these images: one that is named after a validation set, or that of the
    training images if these have other ids; None if there is none.
    """
    found, _ = matching_folders(ids.tolist(), survey.index)
    named = [folder for folder in found if has_word(folder.rpartition("/")[2], "val")]
    others = [] if ids.isin(train_ids).any() else [train]
    named.sort(key=lambda folder: _distance(folder, train))
    complete = [f for f in (*named, *others) if not folders.missing(ids.tolist(), f, survey)]
    return next(iter(complete), None)


def _guess(found: list[str], images: int) -> Guess:
    reason = (
        f"{counted(images, 'labeled validation image')}: used as further training "
        "images in all folds"
    )

    def parse(answer: str) -> list[str]:
        names = [] if answer == "none" else [name.strip() for name in answer.split(",")]
        if unknown := [name for name in names if name not in found]:
            raise UserError(
                f"{examples(unknown)}: not a table of labeled validation images. Choose none, or "
                f"from {examples(found)}."
            )
        return names

    return Guess("prepare.more_train_csv", found, "guess", reason, (None,), parse)
