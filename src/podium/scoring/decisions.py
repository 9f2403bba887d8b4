"""From probabilities to labels, plainly or by cuts; and how either scores."""

import math
from typing import NamedTuple

import numpy as np

from podium.core.errors import UserError
from podium.scoring.metrics import Metric
from podium.scoring.task import BETWEEN, Task


class DecisionRule(NamedTuple):
    """What label is given. `cuts` None: the likeliest class, those over 0.5, the nearest whole
    number. Else: binary, of the second class's probability [1]; multilabel, of each class's [C];
    ordinal and regression, of the number [steps], the lowest label being `lowest`. `fewest`, of
    multilabel, is 0 or 1: an image with fewer labels is given the one nearest to its cut.
    """

    thresholds: list[float] | None = None
    offset: int = 0
    min_labels: int = 0


def plain(task: Task, targets: np.ndarray) -> DecisionRule:
    """That without cuts; of task: multilabel with a label for each image, if all of `targets`
    [N, C] have one.
    """
    return DecisionRule(min_labels=fewest(targets) if task.name == "multilabel" else 0)


def fewest(targets: np.ndarray) -> int:
    """1 if every image of `targets` [N, C], 0 and 1, has a label, else 0."""
    return int((targets > 0).any(axis=1).all())


def labels(task: Task, predicted: np.ndarray, decision: DecisionRule) -> np.ndarray:
    """Probabilities [N, C], or of task: regression numbers [N, 1], as labels in the form of
    `Task.targets`: int [N], or 0 and 1 [N, C]; of task: regression whole numbers [N, 1].
    """
    cuts = decision.thresholds
    if task.name == "multilabel":
        over = predicted - (0.5 if cuts is None else np.array(cuts))
        found = (over > 0).astype(np.float32)
        none = found.sum(axis=1) < decision.min_labels
        found[none, over[none].argmax(axis=1)] = 1
        return found
    if task.name == "regression":
        found = np.rint(predicted) if cuts is None else np.searchsorted(cuts, predicted)
        return found + decision.offset
    if cuts is None:
        return predicted.argmax(axis=1)
    value = predicted[:, 1] if task.name == "binary" else expected_place(task, predicted)
    return np.searchsorted(cuts, value)


def texts(task: Task, logits: np.ndarray, decision: DecisionRule) -> list[str]:
    """What logits [N, C] say of each image, as our tables have labels; of task: regression the
    numbers as they are.
    """
    predicted = task.probabilities(logits)
    if task.name == "regression":
        return [f"{value:.6g}" for value in predicted[:, 0]]
    found, names = labels(task, predicted, decision), np.array(task.classes, dtype=object)
    if task.name == "multilabel":
        return [BETWEEN.join(names[row > 0]) for row in found]
    return names[found].tolist()


def score(
    task: Task,
    metric: Metric,
    targets: np.ndarray,
    logits: np.ndarray,
    *,
    decision: DecisionRule = DecisionRule(),  # noqa: B008  immutable
) -> float:
    """The metric of logits [N, C] against targets as `Task` has them."""
    predicted = task.probabilities(logits)
    if metric.takes == "labels":
        return score_labels(task, metric, targets, labels(task, predicted, decision))
    return score_predicted(task, metric, targets, predicted)


def score_predicted(
    task: Task, metric: Metric, targets: np.ndarray, predicted: np.ndarray
) -> float:
    """A metric of probabilities [N, C], or of numbers [N, 1].

    Raises:
        UserError: if that is no number.
    """
    if metric.takes == "values" or task.name == "regression":
        wanted = task.grades[targets] if task.name == "ordinal" else targets[:, 0]
        return _checked(metric, metric.score(wanted, task.values(predicted)), targets)
    return _checked(metric, metric.score(targets, predicted), targets)


def score_labels(
    task: Task,
    metric: Metric,
    targets: np.ndarray,
    found: np.ndarray,
    *,
    counts: np.ndarray | None = None,
) -> float:
    """A metric of labels, of what `labels` gave; of grades as the numbers that they are. Of the
    metrics in `cuts.FITTED` an image may stand for as many as its place in `counts` [N] says.

    Raises:
        UserError: if that is no number.
    """
    if task.name == "regression":
        targets, found = targets[:, 0], found[:, 0]
    elif task.name == "ordinal":
        targets, found = (task.grades[part].astype(int) for part in (targets, found))
    if counts is not None:
        return _checked(metric, metric.score(targets, found, sample_weight=counts), targets)
    return _checked(metric, metric.score(targets, found), targets)


def _checked(metric: Metric, value: float, targets: np.ndarray) -> float:
    if not math.isfinite(value):
        few = "all of one class?" if metric.takes != "values" else "too few?"
        raise UserError(
            f"metric: {metric.name} of these {len(targets)} images is no number ({few}): take "
            "fewer folds, larger groups, or another metric"
        )
    return float(value)


def expected_place(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """The expected place among the grades: [N], from 0 to C - 1."""
    return probabilities @ np.arange(len(task.classes))
