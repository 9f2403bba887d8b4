"""The format of a submission: detected from the sample, filled with predictions, read back."""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from podium.competition.text import cell_lists
from podium.competition.text.cell_lists import ListStyle
from podium.competition.text.names import canonical
from podium.config.submission import FORMATS, Submission
from podium.core.errors import UserError, counted, examples
from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task

SEPARATORS = (" ", "|", ",", ";")  # that samples put between an image's labels
DEFAULT_TOP = 5  # labels per image of `top_k`


class SubmissionFormat(NamedTuple):
    """What a submission's columns contain."""

    name: str  # a value of `submission.format` in params.yaml, except for auto
    columns: list[str]  # after the id
    top: int  # labels per image of `top_k`
    lists: ListStyle  # how `labels` and `top_k` write several labels
    class_index: int  # the class whose probability is submitted with `probability`

    @classmethod
    def detect(
        cls, sample: pd.DataFrame, task: Task, metric: Metric, options: Submission
    ) -> "SubmissionFormat":
        """Take the format from `options`, or infer it from the sample submission.

        Raises:
            UserError: if it does not suit the sample or the task, or if class names contain the
                separator.
        """
        columns, classes = sample.columns[1:].tolist(), task.classes
        lists = _list_style(sample, classes, options.separator)
        assert isinstance(options.format, str)  # see `Submission.of_target`
        name: str = options.format
        if name == "auto":
            name = _infer(sample, task, metric, lists)
        if name == "columns" and len(columns) == 1:
            columns = classes
        fits = sorted(columns) == sorted(classes) if name == "columns" else len(columns) == 1
        fits = fits and (name != "probability" or len(classes) == 2)
        if not fits or task.name not in FORMATS[name]:
            how = "inferred" if options.format == "auto" else "from params.yaml"
            raise UserError(
                f"submission.format: {name} ({how}) does not match the sample submission's columns "
                f"{', '.join(sample.columns)}, task: {task.name} and the classes "
                f"{examples(classes)}. Set submission.format or task."
            )
        ambiguous = [label for label in classes if lists.is_ambiguous(label)]
        if ambiguous and name in ("labels", "top_k"):
            raise UserError(
                f"submission.separator: {counted(len(ambiguous), 'class name', 'contains')} "
                f"{lists.separator!r} ({examples(ambiguous)}). Set another separator."
            )
        index = classes.index(columns[0]) if columns[0] in classes else 1
        top = options.top or _top(sample, classes, metric, lists)
        return cls(name, columns, top, lists, index)

    def fill(
        self, task: Task, metric: Metric, predicted: np.ndarray, rule: DecisionRule
    ) -> dict[str, Any]:
        """Fill the columns from probabilities [N, C] or, for regression, values [N, 1]."""
        labels = decisions.labels(task, predicted, rule)
        if self.name == "columns":
            as_labels = task.name == "multilabel" and metric.inputs == "labels"
            values = labels.astype(int) if as_labels else predicted
            return {name: values[:, task.classes.index(name)] for name in self.columns}
        names = np.array(task.classes, dtype=object)
        column: Any
        match self.name:
            case "label":
                column = names[labels]
            case "number":
                column = labels
            case "probability":
                column = predicted[:, self.class_index]
            case "confidence":
                separator = self.lists.separator
                own = np.take_along_axis(predicted, labels[:, None], axis=1)[:, 0]
                cells = zip(names[labels], own, strict=True)
                column = [f"{name}{separator}{value:.6f}" for name, value in cells]
            case "labels":
                column = [self.lists.join(names[row > 0]) for row in labels]
            case "top_k":
                best = np.argsort(-predicted, axis=1, kind="stable")[:, : self.top]
                column = [self.lists.join(names[row]) for row in best]
            case _ if task.name == "regression" and metric.inputs == "labels":
                column = labels[:, 0].astype(int)
            case _:
                column = task.values(predicted)
        return {self.columns[0]: column}

    def read(self, task: Task, submission: pd.DataFrame) -> np.ndarray:
        """Read back what `fill` wrote: probabilities [N, C] or, for regression, values [N, 1].

        A label has probability 1; the labels of `top_k` have 1, 1/2, 1/3, ….
        """
        if self.name == "columns":
            return submission[task.classes].to_numpy(dtype=np.float64)
        cells, count = submission.iloc[:, 1], len(task.classes)
        match self.name:
            case "labels" | "top_k":
                probabilities = np.zeros((len(cells), count))
                index = {name: i for i, name in enumerate(task.classes)}
                lists = cell_lists.split(cells, self.lists.separator)
                for row, cell in enumerate(cells):
                    for rank, name in enumerate(lists[cell], 1):
                        value = 1 / rank if self.name == "top_k" else 1
                        probabilities[row, index[name]] = value
                return probabilities
            case "confidence":
                return self._read_confidences(task, cells)
            case "label" | "number":
                is_label = self.name == "label"
                return np.eye(count)[
                    task.targets(cells.tolist()) if is_label else cells.astype(int)
                ]
        values = cells.to_numpy(dtype=np.float64)
        if self.name == "probability":
            return np.stack([1 - values, values][:: 1 if self.class_index else -1], axis=1)
        return _between_levels(task.levels, values) if task.name == "ordinal" else values[:, None]

    def _read_confidences(self, task: Task, cells: pd.Series) -> np.ndarray:
        """The probabilities [N, C] of labels with a confidence: the others share the rest."""
        pairs = [cell.rpartition(self.lists.separator) for cell in cells]
        own = np.eye(len(task.classes))[task.targets([name for name, _, _ in pairs])]
        sure = np.array([[float(value)] for _, _, value in pairs])
        rest: np.ndarray = (1 - own) * (1 - sure) / max(1, len(task.classes) - 1)
        return own * sure + rest


def _between_levels(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Probabilities [N, C] of the two levels around each value [N] whose mean is the value."""
    values = values.clip(levels[0], levels[-1])
    above = np.searchsorted(levels, values).clip(1, len(levels) - 1)
    share = (values - levels[above - 1]) / (levels[above] - levels[above - 1])
    probabilities, rows = np.zeros((len(values), len(levels))), np.arange(len(values))
    probabilities[rows, above], probabilities[rows, above - 1] = share, 1 - share
    return probabilities


def _infer(sample: pd.DataFrame, task: Task, metric: Metric, lists: ListStyle) -> str:
    """Infer the format from the sample, as far as task and metric leave it open."""
    is_number = task.name == "regression" and len(task.classes) == 1
    if is_number or (task.name == "ordinal" and metric.inputs == "values"):
        return "value"
    if sample.shape[1] > 2 or task.name == "regression":
        return "columns"
    cells, classes = _cells(sample), set(task.classes)
    if task.name == "multilabel":
        return "labels" if metric.k is None else "top_k"
    if cell_lists.confidence_separator(cells - classes) is not None:
        return "confidence"
    listed = _lists(cells, lists.separator, classes)
    is_listed = cells and len(listed) == len(cells)
    if metric.k is not None or (is_listed and {label for c in listed for label in c} <= classes):
        return "top_k"
    return _infer_single_label(classes, cells, metric)


def _infer_single_label(classes: set[str], cells: set[str], metric: Metric) -> str:
    """Infer the format of a single column with one class per image."""
    numbers = {str(number) for number in range(len(classes))}
    classes, cells = set(map(canonical, classes)), set(map(canonical, cells))
    # The same number in all rows is a placeholder; where classes are numbers, numbers are labels.
    numbered = len(cells) > 1 and numbers.issuperset(cells) and not classes & numbers
    if metric.inputs == "labels":
        return "number" if numbered else "label"
    if len(classes) == 2:
        named = bool(cells) and classes.issuperset(cells) and not numbers.issuperset(cells)
        return "label" if named else "probability"
    if not cells:
        return "columns"
    return "number" if numbered else "label"


def _cells(sample: pd.DataFrame) -> set[str]:
    """The distinct values of the first column after the id; empty cells are left out."""
    return set(sample.iloc[:, 1]) - {""} if sample.shape[1] > 1 else set()


def _lists(cells: set[str], separator: str, classes: Collection[str]) -> list[list[str]]:
    """The labels in the cells that list several, at least one of them a class: a sample submission
    may contain labels that no training image has, such as "new_whale".
    """
    lists = cell_lists.split(cells, separator)
    return [
        labels
        for cell, labels in lists.items()
        if cell not in classes and len(labels) > 1 and set(labels) & set(classes)
    ]


def _list_style(sample: pd.DataFrame, classes: list[str], separator: str | None) -> ListStyle:
    """How the sample submission writes several labels per image; by default with spaces between.

    `separator`: from params.yaml.
    """
    cells = _cells(sample)
    style = ListStyle.of(cells - set(classes))
    if separator is None and (mark := cell_lists.confidence_separator(cells - {*classes})):
        return ListStyle(mark)
    if style is None:
        found = (mark for mark in SEPARATORS if _lists(cells, mark, classes))
        style = ListStyle(next(found, SEPARATORS[0]))
    return style if separator is None else style._replace(separator=separator)


def _top(sample: pd.DataFrame, classes: list[str], metric: Metric, lists: ListStyle) -> int:
    """How many labels `top_k` writes: as many as the sample has, else the metric's k."""
    counts = map(len, _lists(_cells(sample), lists.separator, classes))
    return max(counts, default=metric.k or DEFAULT_TOP)
