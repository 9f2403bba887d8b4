"""The forms of a submission: told from the sample, filled with predictions, and read back."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from podium.config.submission import Submission
from podium.core.errors import UserError, examples
from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task

SEPARATORS = (" ", "|", ",", ";")
TOP = 5  # of `top_k`, where nobody says


class SubmissionFormat(NamedTuple):
    """What a submission's columns hold."""

    name: str  # one of `Submission.form`, not auto
    columns: list[str]  # after the id
    top: int  # of `top_k`
    separator: str  # of `labels` and `top_k`
    place: int  # of the class that `probability` is of

    @classmethod
    def detect(
        cls, sample: pd.DataFrame, task: Task, metric: Metric, options: Submission
    ) -> "SubmissionFormat":
        """That of the sample submission, where `options` name no other.

        Raises:
            UserError: if it has another one, or classes hold what should stand between them.
        """
        columns, classes = sample.columns[1:].tolist(), task.classes
        separator = options.separator or _separator(sample, classes)
        name = (
            options.format if options.format != "auto" else _told(sample, task, metric, separator)
        )
        if name == "columns" and len(columns) == 1:
            columns = classes
        fits = len(columns) == 1
        if name == "columns":
            fits = sorted(columns) == sorted(classes)
        if not fits or not _suits(name, task):
            raise UserError(
                f"the sample submission has the columns {', '.join(sample.columns)}: that does not "
                f"go with submission.format: {name} (told from it, or set), task: {task.name} and "
                f"the classes {examples(classes)}"
            )
        odd = [label for label in classes if separator in label]
        if odd and name in ("labels", "top_k"):
            raise UserError(
                f"submission.separator: {separator!r} stands in the names of {len(odd)} classes: "
                f"{examples(odd)}: name another one"
            )
        place = classes.index(columns[0]) if columns[0] in classes else 1
        top = options.top or _top(sample, classes, metric, separator)
        return cls(name, columns, top, separator, place)

    def fill(
        self, task: Task, metric: Metric, predicted: np.ndarray, decision: DecisionRule
    ) -> dict[str, Any]:
        """The columns with what is predicted: probabilities [N, C], or numbers [N, 1]."""
        found = decisions.labels(task, predicted, decision)
        if self.name == "columns":
            as_labels = task.name == "multilabel" and metric.inputs == "labels"
            values = found.astype(int) if as_labels else predicted
            return {name: values[:, task.classes.index(name)] for name in self.columns}
        names = np.array(task.classes, dtype=object)
        column: Any
        match self.name:
            case "label":
                column = names[found]
            case "number":
                column = found
            case "probability":
                column = predicted[:, self.place]
            case "labels":
                column = [self.separator.join(names[row > 0]) for row in found]
            case "top_k":
                best = np.argsort(-predicted, axis=1, kind="stable")[:, : self.top]
                column = [self.separator.join(names[row]) for row in best]
            case _ if task.name == "regression" and metric.inputs == "labels":
                column = found[:, 0].astype(int)
            case _:
                column = task.values(predicted)
        return {self.columns[0]: column}

    def read(self, task: Task, submission: pd.DataFrame) -> np.ndarray:
        """What `fill` has filled in, as probabilities [N, C] or numbers [N, 1]: of labels 1 for
        those given, of the likeliest 1, 1/2, 1/3, ….
        """
        if self.name == "columns":
            return submission[task.classes].to_numpy(dtype=np.float64)
        given, count = submission[self.columns[0]], len(task.classes)
        if self.name in ("labels", "top_k"):
            found = np.zeros((len(given), count))
            number = {name: index for index, name in enumerate(task.classes)}
            for row, text in enumerate(given):
                for place, name in enumerate(text.split(self.separator) if text else []):
                    rank = place + 1 if self.name == "top_k" else 1
                    found[row, number[name]] = 1 / rank
        elif self.name == "label":
            found = np.eye(count)[task.targets(given.tolist())]
        elif self.name == "number":
            found = np.eye(count)[given.astype(int)]
        elif self.name == "probability":
            share = given.to_numpy(dtype=np.float64)
            found = np.stack([1 - share, share][:: 1 if self.place else -1], axis=1)
        else:
            found = given.to_numpy(dtype=np.float64)[:, None]
            if task.name == "ordinal":
                found = _between(task.levels, found[:, 0])
        return found


def _between(grades: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Shares of the two grades around each value [N] whose mean is the value: [N, C]."""
    values = values.clip(grades[0], grades[-1])
    above = np.searchsorted(grades, values).clip(1, len(grades) - 1)
    share = (values - grades[above - 1]) / (grades[above] - grades[above - 1])
    found, rows = np.zeros((len(values), len(grades))), np.arange(len(values))
    found[rows, above], found[rows, above - 1] = share, 1 - share
    return found


def _separator(sample: pd.DataFrame, classes: list[str]) -> str:
    """What stands between several classes in the sample submission."""
    known, cells = set(classes), sample.iloc[:, 1].unique().tolist() if sample.shape[1] > 1 else []
    for separator in SEPARATORS:
        if any(_are_several(cell, separator, known) for cell in cells):
            return separator
    return SEPARATORS[0]


def _are_several(cell: str, separator: str, known: set[str]) -> bool:
    names = cell.split(separator)
    return cell not in known and len(names) > 1 and known.issuperset(names)


def _told(sample: pd.DataFrame, task: Task, metric: Metric, separator: str) -> str:
    """The form that the sample submission shows, as far as the task and the metric leave open."""
    if task.name == "regression" or (task.name == "ordinal" and metric.inputs == "values"):
        return "value"
    if sample.shape[1] > 2:
        return "columns"
    known, values = set(task.classes), {*sample.iloc[:, 1]} - {""}
    lists = bool(values) and all(_are_several(value, separator, known) for value in values)
    ranked = metric.k is not None
    if task.name == "multilabel":
        return "top_k" if ranked else "labels"
    return "top_k" if ranked or lists else _told_of_one(known, values, metric)


def _told_of_one(known: set[str], values: set[str], metric: Metric) -> str:
    """The form of one column, of one of the classes `known`, where the sample shows `values`."""
    places = {str(number) for number in range(len(known))}
    # One number in all rows is a place holder, as are those of classes that are numbers.
    numbered = len(values) > 1 and places.issuperset(values) and not known & places
    if metric.inputs == "labels":
        return "number" if numbered else "label"
    if len(known) == 2:
        named = bool(values) and known.issuperset(values) and not places.issuperset(values)
        return "label" if named else "probability"
    if not values:
        return "columns"
    return "number" if numbered else "label"


def _top(sample: pd.DataFrame, classes: list[str], metric: Metric, separator: str) -> int:
    """How many labels `top_k` gives: as many as the sample shows, else the metric's k."""
    known, cells = set(classes), sample.iloc[:, 1].unique().tolist()
    shown = [cell.count(separator) + 1 for cell in cells if _are_several(cell, separator, known)]
    return max(shown, default=metric.k or TOP)


def _suits(name: str, task: Task) -> bool:
    """Whether predictions of the task can be given in that form."""
    return {
        "columns": task.name != "regression",
        "label": task.single_label,
        "number": task.single_label,
        "probability": task.single_label and len(task.classes) == 2,
        "labels": task.name == "multilabel",
        "top_k": task.name != "regression",
        "value": task.name in ("ordinal", "regression"),
    }[name]
