"""The forms of a submission: told from the sample, filled with predictions, and read back."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from podium import decisions
from podium.decisions import Decision
from podium.errors import UserError, examples
from podium.metrics import Metric
from podium.problem import Problem
from podium.schema import Submission
from podium.task_schema import AT_K

TOP = 5  # of `top_k`, where nobody says


class Form(NamedTuple):
    """What a submission's columns hold."""

    name: str  # one of `Submission.form`, not auto
    columns: list[str]  # after the id
    top: int
    separator: str

    @classmethod
    def of(
        cls, sample: pd.DataFrame, problem: Problem, metric: Metric, options: Submission
    ) -> "Form":
        """That of the sample submission, where `options` name no other.

        Raises:
            UserError: if it has another one.
        """
        columns = sample.columns[1:].tolist()
        name = options.form if options.form != "auto" else _told(sample, problem, metric, options)
        if name == "columns" and len(columns) == 1:
            columns = problem.classes
        fits = len(columns) == 1
        if name == "columns":
            fits = sorted(columns) == sorted(problem.classes)
        if not fits or not _suits(name, problem):
            raise UserError(
                f"the sample submission has the columns {', '.join(sample.columns)}: that does not "
                f"go with submission.form: {name} (told from it, or set), task: {problem.task} and "
                f"the classes {examples(problem.classes)}"
            )
        return cls(name, columns, _top(sample, metric, options), options.separator)

    def fill(
        self, problem: Problem, metric: Metric, predicted: np.ndarray, decision: Decision
    ) -> dict[str, Any]:
        """The columns with what is predicted: probabilities [N, C], or numbers [N, 1]."""
        found = decisions.labels(problem, predicted, decision)
        if self.name == "columns":
            as_labels = problem.task == "multilabel" and metric.takes == "labels"
            values = found.astype(int) if as_labels else predicted
            return {name: values[:, problem.classes.index(name)] for name in self.columns}
        names = np.array(problem.classes, dtype=object)
        column: Any
        match self.name:
            case "label":
                column = names[found]
            case "number":
                column = found
            case "probability":
                column = predicted[:, 1]
            case "labels":
                column = [self.separator.join(names[row > 0]) for row in found]
            case "top_k":
                best = np.argsort(-predicted, axis=1, kind="stable")[:, : self.top]
                column = [self.separator.join(names[row]) for row in best]
            case _ if problem.task == "regression" and metric.takes == "labels":
                column = found[:, 0].astype(int)
            case _:
                column = problem.values(predicted)
        return {self.columns[0]: column}

    def read(self, problem: Problem, submission: pd.DataFrame) -> np.ndarray:
        """What `fill` has filled in, as probabilities [N, C] or numbers [N, 1]: of labels 1 for
        those given, of the likeliest 1, 1/2, 1/3, ….
        """
        if self.name == "columns":
            return submission[problem.classes].to_numpy(dtype=np.float64)
        given, count = submission[self.columns[0]], len(problem.classes)
        if self.name in ("labels", "top_k"):
            found = np.zeros((len(given), count))
            for row, text in enumerate(given):
                for place, name in enumerate(text.split(self.separator) if text else []):
                    rank = place + 1 if self.name == "top_k" else 1
                    found[row, problem.classes.index(name)] = 1 / rank
        elif self.name == "label":
            found = np.eye(count)[problem.targets(given.tolist())]
        elif self.name == "number":
            found = np.eye(count)[given.astype(int)]
        elif self.name == "probability":
            second = given.to_numpy(dtype=np.float64)
            found = np.stack([1 - second, second], axis=1)
        else:
            found = given.to_numpy(dtype=np.float64)[:, None]
            if problem.task == "ordinal":  # of the two grades around it
                step = np.diff(problem.grades).min(initial=1)
                found = (1 - abs(found - problem.grades) / step).clip(min=0)
        return found


def _told(sample: pd.DataFrame, problem: Problem, metric: Metric, options: Submission) -> str:
    """The form that the sample submission shows, as far as the task and the metric leave open."""
    if problem.task == "regression" or (problem.task == "ordinal" and metric.takes == "values"):
        return "value"
    if sample.shape[1] > 2:
        return "columns"
    known, values = set(problem.classes), sample.iloc[:, 1].unique().tolist()
    lists = [value.split(options.separator) for value in values]
    if metric.name.startswith("map@") or all(len(n) > 1 and known.issuperset(n) for n in lists):
        return "labels" if problem.task == "multilabel" and metric.takes == "labels" else "top_k"
    if problem.task == "multilabel":
        return "labels"
    if metric.takes == "labels":
        places = {str(number) for number in range(len(known))}
        varied = len(values) > 1  # one number in all rows is a place holder
        return "number" if varied and places.issuperset(values) and not known & places else "label"
    return "probability" if len(known) == 2 else "columns"


def _top(sample: pd.DataFrame, metric: Metric, options: Submission) -> int:
    """How many labels `top_k` gives."""
    if options.top is not None:
        return options.top
    if (seen := max(len(text.split(options.separator)) for text in sample.iloc[:, 1])) > 1:
        return seen
    match = AT_K.fullmatch(metric.name)
    return int(match[1]) if match else TOP


def _suits(name: str, problem: Problem) -> bool:
    """Whether predictions of the task can be given in that form."""
    return {
        "columns": problem.task != "regression",
        "label": problem.one_class,
        "number": problem.one_class,
        "probability": problem.one_class and len(problem.classes) == 2,
        "labels": problem.task == "multilabel",
        "top_k": problem.task != "regression",
        "value": problem.task in ("ordinal", "regression"),
    }[name]
