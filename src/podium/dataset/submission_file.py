"""How a submission's file is laid out around the ids and the predictions."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from podium.core import csvs
from podium.core.errors import UserError, examples


class SubmissionFile(NamedTuple):
    """Where a file has the ids, which columns are no predictions, and what its rows are."""

    id_place: int = 0
    """The id column's place, from 0."""
    copied: Sequence[int] = ()
    """The places of columns that a submission copies from the sample: an index, `Usage`."""
    separator: str | None = None
    """Between an image's id and a label, if there is a row for each label of each image; None: a
    row per image."""

    def wide(self, table: pd.DataFrame, labels: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per id: the id first, then a column per label or target. `table` is as in the file.

        Args:
            table: the file's columns.
            labels: those of a file with a row per label; None: inferred from its ids.

        Raises:
            UserError: if the ids are not those of all labels of each image.
        """
        table = self.predicted(table)
        if self.separator is None:
            return table
        ids, values = table.iloc[:, 0].tolist(), table.iloc[:, 1]
        return pivot(ids, values, self.separator, labels, name=str(table.columns[0]))

    def fill(self, sample: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
        """The file like `sample`, which is as in the file, with `predictions`, which are `wide`."""
        if self.separator is not None:
            by_label = {
                f"{image}{self.separator}{label}": value
                for label in predictions.columns[1:]
                for image, value in zip(predictions.iloc[:, 0], predictions[label], strict=True)
            }
            rows = self.predicted(sample)
            values = [by_label[image] for image in rows.iloc[:, 0]]
            predictions = rows.iloc[:, :1].assign(**{str(rows.columns[1]): values})
        before = sum(place < self.id_place for place in self.copied)
        filled = csvs.as_in_file(predictions, self.id_place - before)
        for place in sorted(self.copied):
            filled.insert(
                place, sample.columns[place], sample.iloc[:, place], allow_duplicates=True
            )
        return filled

    def predicted(self, table: pd.DataFrame) -> pd.DataFrame:
        """The ids, first, and the columns that are predicted."""
        others = (i for i in range(table.shape[1]) if i not in (self.id_place, *self.copied))
        return table.iloc[:, [self.id_place, *others]]


def pivot(
    ids: Sequence[str],
    values: pd.Series,
    separator: str,
    labels: Sequence[str] | None = None,
    *,
    name: str,
) -> pd.DataFrame:
    """One row per image from one per label: a column `name` with the images' ids, and one per
    label.

    Raises:
        UserError: if ids are not an image's id, `separator` and one of `labels`, by default those
            that `find_labels` finds, or if images lack some.
    """
    labels = labels or find_labels(ids, separator)
    if not labels:
        raise UserError(
            f"the ids in {name} ({examples(ids, 2)}) do not list the same labels after "
            f"{separator!r} for each image. Set prepare.id_label_separator."
        )
    known = {*labels}
    pairs = [split(image, known, separator) for image in ids]
    if wrong := [image for image, pair in zip(ids, pairs, strict=True) if pair is None]:
        raise UserError(
            f"{len(wrong)} ids in {name} do not end with {separator!r} and one of the labels "
            f"{examples(labels)}: {examples(wrong)}. Fix them, or set prepare.id_label_separator."
        )
    images, names = zip(*(pair for pair in pairs if pair is not None), strict=True)
    rows = pd.DataFrame({"image": images, "label": names, "value": values.to_numpy()})
    rows = rows.drop_duplicates()
    if repeated := rows.loc[rows.duplicated(["image", "label"]), "image"].unique().tolist():
        raise UserError(
            f"{len(repeated)} images have several values of a label: {examples(repeated)}. Keep "
            "one row of each."
        )
    wide = rows.pivot(index="image", columns="label", values="value")
    wide = wide.reindex(index=[*dict.fromkeys(images)], columns=list(labels))
    if missing := wide.index[wide.isna().any(axis=1)].tolist():
        raise UserError(
            f"{len(missing)} images do not have all {len(labels)} labels: {examples(missing)}. "
            "Add the rows."
        )
    return wide.rename_axis(index=name, columns=None).reset_index()


def split(image: str, labels: Collection[str], separator: str) -> tuple[str, str] | None:
    """The image's id and the label in an id that ends with one of `labels`, the longest; None if it
    ends with none.
    """
    place = image.find(separator, 1)
    while place > 0:
        if (label := image[place + len(separator) :]) in labels:
            return image[:place], label
        place = image.find(separator, place + 1)
    return None


def find_labels(ids: Iterable[str], separator: str) -> list[str]:
    """The labels, in order, if all `ids` are an image's id, `separator` and a label, each image
    with all labels, and several images; of several ways, the one with the longest ids of images.
    None found: empty.
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
            if None not in images and is_grid and len(heads) > 1:
                return labels
        place = first.rfind(separator, 0, place)
    return []
