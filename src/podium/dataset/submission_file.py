"""The layout of a submission file: position of the ids, copied columns, one row per label."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from podium.core import csvs
from podium.core.errors import UserError, counted, examples


class SubmissionFile(NamedTuple):
    """The layout of a submission file."""

    id_place: int = 0
    """Position of the id column, from 0."""
    copied: Sequence[int] = ()
    """Positions of columns that are copied from the sample submission: an index, `Usage`."""
    separator: str | None = None
    """Separator between the image id and the label if there is one row per image and label; None:
    one row per image."""

    def wide(self, table: pd.DataFrame, labels: Sequence[str] | None = None) -> pd.DataFrame:
        """Reshape to one row per image: the id, then one column per label or target.

        Args:
            table: the file's columns.
            labels: of a file with one row per image and label; None: inferred from its ids.

        Raises:
            UserError: if the ids are not all combinations of images and labels.
        """
        table = self.predicted(table)
        if self.separator is None:
            return table
        ids, values = table.iloc[:, 0].tolist(), table.iloc[:, 1]
        return pivot(ids, values, self.separator, labels, name=str(table.columns[0]))

    def fill(self, sample: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
        """Fill `sample` (as in its file) with `predictions` (one row per image, see `wide`)."""
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
        """The id column and the columns of predictions, in this order."""
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
    """Reshape one row per image and label to one row per image: a column `name` with the image ids,
    and one column per label.

    Raises:
        UserError: if ids do not consist of an image id, `separator` and one of `labels` (default:
            `find_labels`), or if images lack labels.
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
    rows = pd.DataFrame({"image": images, "label": names, "value": values.to_numpy()})
    rows = rows.drop_duplicates()
    if repeated := rows.loc[rows.duplicated(["image", "label"]), "image"].unique().tolist():
        raise UserError(
            f"{counted(len(repeated), 'image', 'has')} several rows for a label: "
            f"{examples(repeated)}. Keep one "
            "of them."
        )
    wide = rows.pivot(index="image", columns="label", values="value")
    wide = wide.reindex(index=[*dict.fromkeys(images)], columns=list(labels))
    if missing := wide.index[wide.isna().any(axis=1)].tolist():
        raise UserError(
            f"{counted(len(missing), 'image', 'does')} not have all {len(labels)} labels: "
            f"{examples(missing)}. "
            "Add the rows."
        )
    return wide.rename_axis(index=name, columns=None).reset_index()


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
