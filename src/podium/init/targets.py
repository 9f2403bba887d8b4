"""What is to be predicted: the task, the metric and the submission's form, told by the labels and
the sample submission.
"""

import re
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.dataset.labels import NUMBER
from podium.init.guesses import Chooser, Guess, Sureness, one_of
from podium.scoring import metrics

SEPARATORS = ("|", ";", ",", " ")
ORDINAL = ("diagnosis", "grade", "level", "severity", "stage", "rating", "quality")
MOST_GRADES = 20
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
NUMERIC = ("age", "count", "score", "price", "pawpularity", "value")
FEWEST_NUMBERS = 20  # different whole numbers, if they are no classes
USUAL: dict[TaskName, tuple[str, str]] = {
    "regression": ("rmse", "usual for numbers"),
    "ordinal": ("quadratic_weighted_kappa", "usual for grades"),
}


@dataclass(frozen=True)
class Sample:
    """The sample submission after its id column."""

    targets: list[str]
    values: list[str]  # the different ones of its only target

    @property
    def value(self) -> str | None:
        """An example of what the only target holds."""
        return self.values[0] if self.values else None

    @property
    def is_fraction(self) -> bool:
        """Whether it holds numbers that are not whole, or written as if they need not be."""
        return (
            bool(self.values) and _are_numbers(self.values) and any("." in v for v in self.values)
        )

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return bool(self.values) and all(WHOLE.fullmatch(value) for value in self.values)


def sample_of(rows: pd.DataFrame | None) -> Sample | None:
    """What a sample submission (its first column: the ids) wants; None if there is none."""
    if rows is None or rows.shape[1] < 2:
        return None
    targets = [str(column) for column in rows.columns[1:]]
    values = rows.iloc[:, 1].str.strip().value_counts().index.tolist() if len(targets) == 1 else []
    return Sample(targets, [value for value in values if value])


def choose_task(
    labels: pd.DataFrame, sample: Sample | None, chooser: Chooser, *, one: bool = False
) -> TaskName:
    """The kind of task: of one label column, or of one column a class. `one`: an image has one
    label, whatever stands in it.

    Raises:
        UserError: if several label columns hold other values than 0 and 1.
    """
    if labels.shape[1] > 1:
        value, sure, why, others = _task_of_flags(labels)
    else:
        value, sure, why, others = _task_of_labels(labels.iloc[:, 0], sample, one=one)
    known = one_of([*get_args(TaskName)], what="task")
    return chooser.choose(Guess("task", value, sure, why, others, known))


Found = tuple[TaskName, Sureness, str, tuple[TaskName, ...]]


def _task_of_flags(labels: pd.DataFrame) -> Found:
    numbers = labels.apply(pd.to_numeric, errors="coerce")
    if not numbers.isin([0, 1]).all(axis=None):
        raise UserError(
            f"the columns {examples(list(labels.columns))} hold other values than 0 and 1: several "
            "numbers an image are no task of Podium's; --label-column names the one to predict"
        )
    if not (numbers.sum(axis=1) == 1).all():
        return "multilabel", "certain", "several or none of the label columns are 1 in a row", ()
    if labels.shape[1] == 2:
        return "binary", "certain", "one of two label columns is 1 in each row", ("multiclass",)
    return "multiclass", "certain", "one of the label columns is 1 in each row", ("multilabel",)


def _task_of_labels(column: pd.Series, sample: Sample | None, *, one: bool) -> Found:
    values = [value for value in column.str.strip().unique() if value]
    whole = sample is not None and {*values} == {*sample.targets}  # columns, one a class
    if not _are_numbers(values) or one:
        return _task_of_texts(values, one=one or whole)
    if not all(float(value).is_integer() for value in values):
        return "regression", "certain", "the labels are numbers, not all of them whole", ()
    if len(values) == 2:
        return "binary", "certain", f"two labels: {examples(values)}", ("multiclass",)
    return _task_of_whole_numbers(str(column.name), len(values), sample)


def _task_of_whole_numbers(name: str, count: int, sample: Sample | None) -> Found:
    why = f"{count} different whole numbers in a column called {name}"
    if count <= MOST_GRADES and any(word in name.lower() for word in ORDINAL):
        return "ordinal", "likely", f"{why}: grades", ("multiclass", "regression")
    if count > FEWEST_NUMBERS and any(word in name.lower() for word in (*NUMERIC, *ORDINAL)):
        return "regression", "likely", why, ("multiclass", "ordinal")
    if sample is not None and sample.is_fraction:
        why = f"{count} different numbers, and fractions in the sample submission"
        return "regression", "likely", why, ("multiclass", "ordinal")
    return "multiclass", "likely", why, ("ordinal", "regression")


def _task_of_texts(values: list[str], *, one: bool) -> Found:
    if not one and (separator := separator_of(values)):
        parts = [_split(value, separator) for value in values]
        tokens = {token for part in parts for token in part}
        sure: Sureness = "likely" if len({len(part) for part in parts}) > 1 else "a guess"
        kind = "spaces" if separator == " " else repr(separator)
        why = f"{len(values)} different labels are made of {len(tokens)}, with {kind} between them"
        return "multilabel", sure, why, ("multiclass",)
    if len(values) == 2:
        return "binary", "certain", f"two labels: {examples(values)}", ("multiclass",)
    return "multiclass", "certain", f"{len(values)} different labels: {examples(values, 3)}", ()


def separator_of(values: list[str]) -> str | None:
    """What stands between several labels in one cell: they are made of fewer than there are
    different cells. None where each cell is one label.
    """
    best: tuple[int, str] | None = None
    for separator in SEPARATORS:
        if not any(separator in value for value in values):
            continue
        tokens = {token for value in values for token in _split(value, separator)}
        if len(tokens) < len(values) and (best is None or len(tokens) < best[0]):
            best = len(tokens), separator
    return None if best is None else best[1]


def separator_of_sample(sample: Sample | None, separator: str) -> str:
    """What stands between several labels in the sample submission; else that of the table."""
    if sample is None or not sample.values:
        return separator
    found = [mark for mark in (separator, *SEPARATORS) if any(mark in v for v in sample.values)]
    return found[0] if found else separator


def choose_metric(
    task: TaskName, sample: Sample | None, classes: list[str], *, several: bool, chooser: Chooser
) -> str:
    """The metric that such submissions are most often scored by. `several`: a cell of the training
    table holds several labels.
    """
    value, why = _metric(task, sample, classes, several)

    def read(answer: str) -> str:
        try:
            metrics.check_name(answer, task)
        except ValueError as error:
            raise UserError(str(error)) from None
        return answer

    named = (name.replace("@k", "@5") for name in metrics.names(task))
    others = tuple(name for name in named if metrics.family(name) != metrics.family(value))
    why += ": see the competition's page"
    return str(chooser.choose(Guess("metric", value, "a guess", why, others, read)))


def _metric(
    task: TaskName, sample: Sample | None, classes: list[str], several: bool
) -> tuple[str, str]:
    if task in USUAL:
        return USUAL[task]
    columns = sample is not None and len(sample.targets) > 1
    if columns or (task == "multilabel" and not several):
        metric = "roc_auc" if task == "multilabel" else "log_loss"
        return metric, "the submission has one column a class"
    if task == "multilabel":
        return "samples_f1", "the submission holds several labels in one column"
    if sample is not None and task == "binary" and sample.is_fraction:
        return "roc_auc", f"the sample submission holds {sample.value}, a probability"
    if sample is not None and task == "multiclass" and (top := top_of(sample, classes)) > 1:
        return f"map@{top}", f"the sample submission holds {top} labels for each image"
    return "accuracy", "the submission holds a label"


def top_of(sample: Sample, classes: list[str]) -> int:
    """How many labels, with spaces between them, the cells of a sample submission hold: one, if
    there are spaces in labels.
    """
    if any(" " in name for name in classes):
        return 1
    counts = {len(value.split()) for value in sample.values}
    return counts.pop() if len(counts) == 1 else 1


def choose_form(task: TaskName, sample: Sample | None, classes: list[str], chooser: Chooser) -> str:
    """The submission's form: "auto", but where the sample submission holds whole numbers and the
    classes are names.
    """
    single = task in ("binary", "multiclass")
    if sample is not None and single and sample.is_whole and not _are_numbers(classes):
        why = f"the sample submission holds {sample.value}, but the classes are names: their number"
        return str(chooser.choose(Guess("submission.format", "number", "likely", why, ("label",))))
    return str(chooser.choose(Guess("submission.format", "auto", "certain", _looks(sample))))


def _looks(sample: Sample | None) -> str:
    if sample is None:
        return "there is no sample submission: the ids and what the metric takes"
    if len(sample.targets) > 1:
        return f"as the sample submission: {len(sample.targets)} columns after the id"
    if sample.value is None:
        return f"as the sample submission, whose column {sample.targets[0]} is empty"
    return f"as the sample submission, where {sample.targets[0]} is {sample.value}"


def _split(value: str, separator: str) -> list[str]:
    return [token.strip() for token in value.split(separator) if token.strip()]


def _are_numbers(values: list[str]) -> bool:
    return bool(values) and all(NUMBER.fullmatch(value) for value in values)
