"""What is predicted, inferred from the labels: the task and the positive class."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import get_args

import pandas as pd

from podium.competition.text import cell_lists
from podium.competition.text.names import canonical, normalize
from podium.config.tasks import TaskName
from podium.core.errors import UserError, counted, examples
from podium.dataset.class_list import in_order
from podium.dataset.labels import flags
from podium.init import missing_labels
from podium.init.guesses import Confidence, Guess, one_of
from podium.init.sample import LABEL_SEPARATORS, Sample, are_numbers
from podium.init.words import has_part, name_parts

ORDINAL_NAMES = ("diagnosis", "grade", "level", "severity", "stage", "rating", "quality")
NUMERIC_NAMES = (
    "age", "boneage", "months", "count", "score", "price", "pawpularity", "value", "weight",
    "height", "length", "width", "area", "volume", "depth", "distance", "temperature",
)  # fmt: skip
CLASS_PARTS = ("id", "class", "label", "category", "type", "group", "name", "code", "index")
MAX_ORDINAL_LEVELS = 20
MAX_SHARE_OF_FLAGS = 0.5  # of several numbers per image: with more of 0 and 1, they may be labels
MIN_REGRESSION_VALUES = 20  # distinct integers
MIN_LABELS_PER_IMAGE = 1.1  # on average; fewer are errors in the table
NEGATIVE_NAMES = {
    "-1", "0", "absent", "background", "benign", "clean", "control", "cover", "f", "false",
    "healthy", "n", "neg", "negative", "no", "none", "normal", "original", "real",
}  # fmt: skip
POSITIVE_NAMES = {
    "1", "abnormal", "diseased", "malignant", "p", "pos", "positive", "present", "sick", "t",
    "true", "y", "yes",
}  # fmt: skip


def labels_per_image(rows: pd.DataFrame, ids: str | None, columns: Sequence[str]) -> float:
    """The mean number of different labels per image, if each row has one label; else 1."""
    if ids is None or len(columns) > 1:
        return 1
    return float(rows.groupby(ids, sort=False)[columns[0]].nunique().mean())


def guess_task(
    labels: pd.DataFrame, sample: Sample | None, *, from_paths: bool, per_image: float = 1
) -> Guess:
    """The task, from one label column or one column per class.

    `from_paths`: labels are folder or file names, which are never lists or numbers. `per_image`:
    the mean number of different labels in the rows of an image.

    Raises:
        UserError: if several label columns have other values than numbers.
    """
    if labels.shape[1] > 1:
        value, confidence, reason, others = _from_flags(labels)
    else:
        column = labels.iloc[:, 0]
        value, confidence, reason, others = from_labels(column, sample, from_paths, per_image)
    return Guess("task", value, confidence, reason, others, one_of(get_args(TaskName), what="task"))


Inferred = tuple[TaskName, Confidence, str, tuple[TaskName, ...]]


def _from_flags(labels: pd.DataFrame) -> Inferred:
    numbers = flags(labels)
    if numbers.isna().any(axis=None):
        names = [str(name) for name in labels if not _has_numbers(labels[name])]
        if not names:
            reason = f"several numbers per image: {examples(list(labels.columns))}"
            if (share := float(numbers.notna().to_numpy().mean())) < MAX_SHARE_OF_FLAGS:
                return "regression", "certain", reason, ()
            reason += f"; but {share:.0%} of them are 0 or 1"
            return "regression", "guess", reason, ("multilabel", "multiclass")
        raise UserError(
            f"columns {examples(list(labels.columns))}: several targets must be numbers, or 0 "
            f"and 1 for classes, but {examples(names)} contain others. Choose one with "
            "--label-column."
        )
    if not (numbers.sum(axis=1) == 1).all():
        return "multilabel", "certain", "some rows have several label columns with 1, or none", ()
    if labels.shape[1] == 2:
        return "binary", "certain", "exactly one of two label columns is 1", ("multiclass",)
    return "multiclass", "certain", "exactly one of the label columns is 1", ("multilabel",)


def _has_numbers(column: pd.Series) -> bool:
    """Whether all cells that are not empty are numbers; the stage prepare reports empty ones."""
    return are_numbers([cell for cell in column.str.strip().unique() if cell])


def from_labels(
    column: pd.Series, sample: Sample | None, from_paths: bool, per_image: float
) -> Inferred:
    """The task of one label column; for the arguments, see `guess_task`."""
    column = column if from_paths else missing_labels.numbers(column, sample)
    values = distinct(missing_labels.distinct(column))
    is_whole = all(float(value).is_integer() for value in values) if are_numbers(values) else True
    if per_image >= MIN_LABELS_PER_IMAGE and is_whole:
        reason = f"one row per label, {per_image:.2g} different ones per image on average"
        return "multilabel", "likely", reason, ("multiclass",)
    are_classes = from_paths or (
        sample is not None and {*map(canonical, values)} == {*map(canonical, sample.targets)}
    )
    if not are_numbers(values) or from_paths:
        submitted = [] if sample is None else sample.values
        return _from_names(values, submitted, are_classes=are_classes)
    if not is_whole:
        return "regression", "certain", "the labels are numbers, not all of them integers", ()
    if len(values) == 2:
        return "binary", "certain", f"two labels: {examples(values)}", ("multiclass",)
    return _from_integers(str(column.name), len(values), sample)


def _from_integers(name: str, count: int, sample: Sample | None) -> Inferred:
    reason = f"{counted(count, 'distinct integer')} in column {name}"
    if sample is not None and sample.has_measurements:
        reason += ", but fractions in the sample submission"
        return "regression", "likely", reason, ("ordinal", "multiclass")
    if count <= MAX_ORDINAL_LEVELS and has_part(name, ORDINAL_NAMES):
        return "ordinal", "likely", f"{reason}, whose name suggests ordinal levels", (
            "multiclass", "regression")  # fmt: skip
    is_class = name_parts(name)[-1:] and has_part(name_parts(name)[-1], CLASS_PARTS)
    is_numeric = has_part(name, (*NUMERIC_NAMES, *ORDINAL_NAMES)) and not is_class
    if count > MIN_REGRESSION_VALUES and is_numeric:
        return "regression", "likely", reason, ("multiclass", "ordinal")
    if sample is not None and sample.has_fractions:
        reason = f"{counted(count, 'distinct integer')}, but fractions in the sample submission"
        return "regression", "likely", reason, ("multiclass", "ordinal")
    return "multiclass", "likely", reason, ("ordinal", "regression")


def _from_names(values: Sequence[str], submitted: Sequence[str], *, are_classes: bool) -> Inferred:
    if not are_classes and (inferred := _from_lists(values, submitted)):
        return inferred
    if len(values) == 2:
        return "binary", "certain", f"two labels: {examples(values)}", ("multiclass",)
    return "multiclass", "certain", f"{len(values)} labels: {examples(values, 3)}", ()


def _from_lists(values: Sequence[str], submitted: Sequence[str]) -> Inferred | None:
    """Multilabel, or multiclass with names that look like lists; None if each cell is one label."""
    submitted = [cell for cell in submitted if cell not in values]
    separator = find_separator(values, submitted)
    lists = cell_lists.split(values, separator or " ")
    labels = cell_lists.distinct_labels(values, separator or " ")
    counts = {len(names) for names in lists.values()}
    if cell_lists.are_bracketed(values):
        if counts == {1}:
            return None
        return "multilabel", "certain", f"the cells are lists of {len(labels)} labels", ()
    if separator is None:
        return None
    mark = "spaces" if separator == " " else repr(separator)
    if not _are_lists(lists.values(), separator) and not _are_submitted(
        labels, submitted, separator
    ):
        reason = f"{len(values)} labels: {examples(values, 3)}, not lists separated by {mark}"
        return "binary" if len(values) == 2 else "multiclass", "likely", reason, ("multilabel",)
    reason = f"{len(values)} distinct cells list {len(labels)} labels, separated by {mark}"
    return "multilabel", "likely" if len(counts) > 1 else "guess", reason, ("multiclass",)


def _are_lists(cells: Collection[list[str]], separator: str) -> bool:
    """Whether `cells` are lists of labels rather than names of several words ("Apple scab").

    In lists, labels also stand alone and in several places: a quarter of them at least. In names,
    the first word seldom is a name or the end of another.
    """
    first = {cell[0] for cell in cells if len(cell) > 1}
    later = {label for cell in cells for label in cell[1:]}
    alone = {cell[0] for cell in cells if len(cell) == 1}
    labels = first | later
    in_several_places = (first & later) | (alone & labels)
    return separator in "|;" or are_numbers([*labels]) or 4 * len(in_several_places) >= len(labels)


def distinct(labels: Iterable[str]) -> list[str]:
    """The labels that are different classes: 1 and 1.0 are the same."""
    return [*{canonical(label): label for label in labels}.values()]


def guess_positive_class(classes: Sequence[str], sample: Sample | None) -> Guess:
    """Which of two classes is the positive one, whose probability is submitted."""
    first, second = in_order(classes, [])
    other = {first: second, second: first}
    by_name = {normalize(name): name for name in classes}
    targets = [normalize(target) for target in sample.targets] if sample else []
    positive = [name for text, name in by_name.items() if text in POSITIVE_NAMES]
    positive += [other[name] for text, name in by_name.items() if text in NEGATIVE_NAMES]
    value: str | None = second
    confidence: Confidence = "guess"
    reason = "the last class in sort order; its probability is submitted"
    if len(targets) == 1 and targets[0] in by_name:
        value, confidence = by_name[targets[0]], "certain"
        reason = "the sample submission has a column of this name"
    elif set(targets) == set(by_name):
        value, confidence = None, "certain"
        reason = "irrelevant: the sample submission has one column per class"
    elif positive and len(set(positive)) == 1:
        value = positive[0]
        confidence = "certain" if len(positive) == 2 else "likely"
        reason = f"judging by the class names ({value}, not {other[value]})"
    others = tuple(name for name in other if name != value)
    parse = one_of(classes, what="class", nullable=True)
    return Guess("prepare.positive_class", value, confidence, reason, others, parse)


def separator(values: Sequence[str], per_image: float, submitted: Sequence[str] = ()) -> str:
    """What separates the labels in cells (`values`); if each has one label, something that is in
    none of them.
    """
    found = find_separator(values, submitted) if per_image < MIN_LABELS_PER_IMAGE else None
    unused = (mark for mark in (" ", *LABEL_SEPARATORS) if not any(mark in v for v in values))
    return found or next(unused, " ")


def find_separator(values: Sequence[str], submitted: Sequence[str] = ()) -> str | None:
    """The separator of labels in a cell, which leaves fewer distinct labels than there are distinct
    cells (`values`), or cells of repeated integers, or of labels that the sample submission
    (`submitted`) lists in another combination. None if each cell is one label.
    """
    if cell_lists.are_bracketed(values):
        return None
    labels = {
        separator: cell_lists.distinct_labels(values, separator)
        for separator in LABEL_SEPARATORS
        if any(len(labels) > 1 for labels in cell_lists.split(values, separator).values())
    }
    best = min(labels, key=lambda separator: len(labels[separator]), default=None)
    if best is None or len(labels[best]) < len(values):
        return best
    names, all_names = labels[best], [*chain(*cell_lists.split(values, best).values())]
    are_repeated = all(name.isdecimal() for name in names) and len(names) < len(all_names)
    others = [cell for cell in submitted if cell not in values]
    return best if are_repeated or _are_submitted(names, others, best) else None


def _are_submitted(labels: Collection[str], submitted: Sequence[str], separator: str) -> bool:
    """Whether the sample submission lists several of these labels and no others."""
    return any(
        len(names) > 1 and set(names) <= set(labels)
        for names in cell_lists.split(submitted, separator).values()
    )
