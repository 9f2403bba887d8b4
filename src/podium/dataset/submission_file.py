"""The layout of a submission file: position of the ids, copied columns, one row per label."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from podium.competition.text.names import NameIndex
from podium.core import csvs
from podium.core.errors import UserError, counted, examples
from podium.core.manifest import Manifest
from podium.scoring.task import LABEL_SEPARATOR

ROWS = "submission_rows.csv"
ROW_COLUMNS = ["row", "id", "label"]


class SubmissionFile(NamedTuple):
    """The layout of a submission file."""

    id_place: int = 0
    """Position of the id column, from 0."""
    copied: Sequence[int] = ()
    """Positions of columns that are copied from the sample submission: an index, `Usage`."""
    rows: pd.DataFrame | None = None
    """The image id and the label or target that each row (`row`: its id) is about: row, id, label,
    all text. An image need not have a row for each label. None: one row per image."""

    @classmethod
    def read(cls, prepared: Manifest) -> Self:
        """Read the layout that the stage prepare wrote.

        Raises:
            UserError: if a file is missing or damaged.
        """
        rows = prepared.csv(ROWS)
        return cls(**prepared.facts["submission_file"], rows=None if rows.empty else rows)

    @property
    def facts(self) -> dict[str, Any]:
        """What `read` expects in the manifest, besides the table of the rows."""
        return {"id_place": self.id_place, "copied": self.copied}

    @property
    def rows_table(self) -> pd.DataFrame:
        """`rows`, or a table without rows."""
        return pd.DataFrame(columns=ROW_COLUMNS, dtype=str) if self.rows is None else self.rows

    def wide(self, table: pd.DataFrame, labels: Sequence[str] | None = None) -> pd.DataFrame:
        """Reshape to one row per image: the id, then one column per label or target, with empty
        cells where the file has no row. If rows have several columns, such as one per class, they
        follow each other for each label: `a|x`, `a|y`, `b|x`, ….

        Args:
            table: the file's columns.
            labels: the columns after the id, in order, if there is a row per label; None: those of
                `rows`.

        Raises:
            UserError: if the file has rows that `rows` does not list, or several for one label.
        """
        table = self.predicted(table)
        if self.rows is None:
            return table
        name = str(table.columns[0])
        about = self.rows.set_index("row").reindex(table.iloc[:, 0])
        if unknown := table.iloc[:, 0][about["id"].isna().to_numpy()].tolist():
            raise UserError(
                f"{name}: {counted(len(unknown), 'id', 'is')} not in the sample submission: "
                f"{examples(unknown)}. Remove the rows."
            )
        labels = labels or self.rows["label"].unique().tolist()
        about = about.reset_index(drop=True)
        if table.shape[1] == len(("id", "value")):
            return pivot(about, table.iloc[:, 1], labels, name=name)
        columns = [str(column) for column in table.columns[1:]]
        parts = [pivot(about, table[column], labels, name=name) for column in columns]
        places = {
            f"{label}{LABEL_SEPARATOR}{column}": parts[n][label]
            for label in labels
            for n, column in enumerate(columns)
        }
        return parts[0].iloc[:, :1].assign(**places)

    def select(self, ids: Sequence[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The predictions [N, C] of the images `ids` [N] that rows are about, with their ids."""
        if self.rows is None:
            return [*ids], values
        known = {*self.rows["id"]}
        kept = [place for place, image in enumerate(ids) if image in known]
        return [ids[place] for place in kept], values[kept]

    def fill(self, sample: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
        """Fill `sample` (as in its file) with `predictions` (one row per image, see `wide`)."""
        if self.rows is not None:
            rows = self.predicted(sample)
            about = self.rows.set_index("row").loc[rows.iloc[:, 0]]
            places = {image: place for place, image in enumerate(predictions.iloc[:, 0])}
            cells = {label: predictions[label].tolist() for label in predictions.columns[1:]}
            pairs = [*zip(about["id"], about["label"], strict=True)]
            columns = [str(column) for column in rows.columns[1:]]
            ends = {c: f"{LABEL_SEPARATOR}{c}" if len(columns) > 1 else "" for c in columns}
            predictions = rows.iloc[:, :1].assign(
                **{
                    c: [cells[f"{label}{ends[c]}"][places[i]] for i, label in pairs]
                    for c in columns
                }
            )
        before = sum(place < self.id_place for place in self.copied)
        filled = csvs.as_in_file(predictions, self.id_place - before)
        for place in sorted(self.copied):
            filled.insert(
                place, sample.columns[place], sample.iloc[:, place], allow_duplicates=True
            )
        return filled

    def predicted(self, table: pd.DataFrame) -> pd.DataFrame:
        """The id column and the columns of predictions, in this order."""
        others = (i for i in range(table.shape[1]) if i not in (self.id_place, *self.copied))
        return table.iloc[:, [self.id_place, *others]]


def targets_of(columns: Iterable[str]) -> list[str]:
    """The targets of the columns after the id of `SubmissionFile.wide`, in order."""
    return [*dict.fromkeys(column.partition(LABEL_SEPARATOR)[0] for column in columns)]


def places_of(table: pd.DataFrame, target: str) -> list[int]:
    """The positions of a target's column in `SubmissionFile.wide`, whose first one is the id, or of
    its columns, one per class; empty if it has none.
    """
    columns = [str(column) for column in table.columns[1:]]
    if (only := NameIndex(columns).find(target)) is not None:
        return [1 + columns.index(only)]
    heads = [column.partition(LABEL_SEPARATOR)[0] for column in columns]
    found = NameIndex(heads).find(target)
    return [place for place, head in enumerate(heads, 1) if head == found]


def columns_of(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """The id and the columns of a target of `SubmissionFile.wide`, named as in the file."""
    own = table.iloc[:, [0, *places_of(table, target)]]
    names = [str(column) for column in own.columns[1:]]
    if len(names) > 1:
        names = [column.partition(LABEL_SEPARATOR)[2] for column in names]
    return own.set_axis([str(table.columns[0]), *names], axis=1)


def pivot(
    about: pd.DataFrame, values: pd.Series, labels: Sequence[str], *, name: str
) -> pd.DataFrame:
    """Reshape one row per image and label to one row per image: a column `name` with the image ids,
    and one column per label, with empty cells where there is no row.

    Args:
        about: the image (`id`) and the label of each row.
        values: of each row.
        labels: the columns after the ids, in order.
        name: of the id column.

    Raises:
        UserError: if an image has different rows for a label.
    """
    rows = about[["id", "label"]].assign(value=values.to_numpy()).drop_duplicates()
    if repeated := rows.loc[rows.duplicated(["id", "label"]), "id"].unique().tolist():
        raise UserError(
            f"{counted(len(repeated), 'image', 'has')} several rows for a label: "
            f"{examples(repeated)}. Keep one of them."
        )
    wide = rows.pivot(index="id", columns="label", values="value").fillna("")
    wide = wide.reindex(index=about["id"].unique(), columns=list(labels), fill_value="")
    return wide.rename_axis(index=name, columns=None).reset_index()


def check_complete(about: pd.DataFrame, labels: Sequence[str]) -> None:
    """Check that each image has a row for each label; `about` as for `pivot`.

    Raises:
        UserError: naming the images that do not.
    """
    counts = about[["id", "label"]].drop_duplicates().groupby("id", sort=False).size()
    if missing := counts.index[counts < len(labels)].tolist():
        raise UserError(
            f"{counted(len(missing), 'image', 'does')} not have all {len(labels)} labels: "
            f"{examples(missing)}. Add the rows."
        )


def split_rows(
    ids: Sequence[str], separator: str, labels: Sequence[str] | None = None, *, name: str
) -> pd.DataFrame:
    """What each row is about if its id is an image id, `separator` and one of `labels` (None: what
    `find_labels` finds): see `SubmissionFile.rows`.

    Raises:
        UserError: if ids do not consist of these. `name` is their column.
    """
    labels = labels or find_labels(ids, separator, min_images=1)
    if not labels:
        raise UserError(
            f"the ids in {name} ({examples(ids, 2)}) do not list the same labels after "
            f"{separator!r} for each image. Set prepare.id_label_separator."
        )
    known = {*labels}
    pairs = [split(image, known, separator) for image in ids]
    if wrong := [image for image, pair in zip(ids, pairs, strict=True) if pair is None]:
        raise UserError(
            f"{name}: {counted(len(wrong), 'id', 'does')} not end with {separator!r} and "
            "one of the labels "
            f"{examples(labels)}: {examples(wrong)}. Fix them, or set prepare.id_label_separator."
        )
    images, names = zip(*(pair for pair in pairs if pair is not None), strict=True)
    return pd.DataFrame({"row": [*ids], "id": images, "label": names}, dtype=str)


def split(image: str, labels: Collection[str], separator: str) -> tuple[str, str] | None:
    """Split an id into the image id and the longest matching label; None if none matches."""
    place = image.find(separator, 1)
    while place > 0:
        if (label := image[place + len(separator) :]) in labels:
            return image[:place], label
        place = image.find(separator, place + 1)
    return None


def find_labels(ids: Iterable[str], separator: str, *, min_images: int = 2) -> list[str]:
    """The labels, in order, if `ids` are the combinations (image id, `separator`, label) of
    `min_images` or more images with the same labels; else empty. Prefers the split with the longest
    image ids. With one image it is certain only if `separator` is known to separate labels.
    """
    distinct = [*dict.fromkeys(ids)]
    first = distinct[0] if distinct else ""
    place = first.rfind(separator)
    while place > 0:
        start = first[: place + len(separator)]
        labels = [image[len(start) :] for image in distinct if image.startswith(start)]
        if len(labels) > 1 and len(distinct) % len(labels) == 0:
            known = {*labels}
            images = {split(image, known, separator) for image in distinct}
            heads = {pair[0] for pair in images if pair is not None}
            is_grid = len(distinct) == len(heads) * len(labels)
            if None not in images and is_grid and len(heads) >= min_images:
                return labels
        place = first.rfind(separator, 0, place)
    return []
