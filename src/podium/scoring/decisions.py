"""Turn probabilities into labels, with default or tuned thresholds, and score either."""

import math
from itertools import compress
from typing import NamedTuple

import numpy as np

from podium.core.errors import UserError
from podium.scoring.metrics import Metric
from podium.scoring.task import LABEL_SEPARATOR, Task


class DecisionRule(NamedTuple):
    """How probabilities become labels.

    Without thresholds: the highest-scoring class; for multilabel, the classes above 0.5; for
    regression, the nearest whole number.
    """

    thresholds: list[float] | None = None
    """Binary: of the positive class's probability, [1]. Multilabel: of each class's probability,
    [C]. Ordinal: between levels, of the expected index, [C - 1]. Regression: between whole
    numbers, of the value."""
    offset: int = 0
    """Regression: the label below the first threshold."""
    min_labels: int = 0
    """Multilabel: 0 or 1. An image with fewer labels gets the class nearest to its threshold."""


def default_rule(task: Task, targets: np.ndarray) -> DecisionRule:
    """The rule without thresholds. Multilabel images get at least one label if all `targets`
    [N, C] have one.
    """
    return DecisionRule(min_labels=min_labels(targets) if task.name == "multilabel" else 0)


def min_labels(targets: np.ndarray) -> int:
    """1 if every image has a label in the multilabel `targets` [N, C], else 0."""
    return int((targets > 0).any(axis=1).all())


def labels(task: Task, predicted: np.ndarray, rule: DecisionRule) -> np.ndarray:
    """Apply `rule` to probabilities [N, C], or for regression to values [N, C].

    Returns labels in the form of `Task.targets`; for regression whole numbers [N, C].
    """
    thresholds = rule.thresholds
    if task.name == "multilabel":
        margin = predicted - (0.5 if thresholds is None else np.array(thresholds))
        indicators = (margin > 0).astype(np.float32)
        missing = indicators.sum(axis=1) < rule.min_labels
        indicators[missing, margin[missing].argmax(axis=1)] = 1
        return indicators
    if task.name == "regression":
        if thresholds is None:
            return np.rint(predicted) + rule.offset
        return np.searchsorted(thresholds, predicted) + rule.offset
    if thresholds is None:
        return predicted.argmax(axis=1)
    value = predicted[:, 1] if task.name == "binary" else expected_index(predicted)
    return np.searchsorted(thresholds, value)


def to_texts(task: Task, targets: np.ndarray) -> list[str]:
    """Convert targets to labels as our tables have them: the inverse of `Task.targets`."""
    if task.name == "regression":
        return [LABEL_SEPARATOR.join(f"{value:.6g}" for value in row) for row in targets]
    if task.name == "multilabel":
        return [LABEL_SEPARATOR.join(compress(task.classes, row > 0)) for row in targets]
    return [task.classes[index] for index in targets]


def score(
    task: Task,
    metric: Metric,
    targets: np.ndarray,
    logits: np.ndarray,
    *,
    rule: DecisionRule = DecisionRule(),  # noqa: B008  immutable
) -> float:
    """Score logits [N, C] against targets in the form of `Task.targets`.

    Raises:
        UserError: if the metric is undefined.
    """
    predicted = task.probabilities(logits)
    if metric.inputs == "labels":
        return score_labels(task, metric, targets, labels(task, predicted, rule))
    return score_probabilities(task, metric, targets, predicted)


def score_probabilities(
    task: Task, metric: Metric, targets: np.ndarray, predicted: np.ndarray
) -> float:
    """Score probabilities [N, C], or for regression values [N, 1].

    Raises:
        UserError: if the metric is undefined, or has weights for other classes.
    """
    if metric.inputs == "values" or task.name == "regression":
        actual = task.levels[targets] if task.name == "ordinal" else task.numbers(targets)
        value = metric.bound(task.classes)(actual, task.values(predicted))
        return _checked(metric, value, targets)
    return _checked(metric, metric.bound(task.classes)(targets, predicted), targets)


def score_labels(
    task: Task,
    metric: Metric,
    targets: np.ndarray,
    predicted: np.ndarray,
    *,
    counts: np.ndarray | None = None,
) -> float:
    """Score labels that `labels` returned. Ordinal classes are scored by their levels.

    `counts` [N] are the numbers of images per row; None: one each.

    Raises:
        UserError: if the metric is undefined.
    """
    if task.name == "regression":
        targets, predicted = task.numbers(targets), task.numbers(predicted)
    elif task.name == "ordinal":
        targets, predicted = (task.levels[part].astype(int) for part in (targets, predicted))
    if counts is None:
        value = metric.function(targets, predicted)
    elif metric.accepts_sample_weight:
        value = metric.function(targets, predicted, sample_weight=counts)
    else:
        value = metric.function(targets.repeat(counts, axis=0), predicted.repeat(counts, axis=0))
    return _checked(metric, value, targets)


def _checked(metric: Metric, value: float, targets: np.ndarray) -> float:
    if not math.isfinite(value):
        reason = "too few?" if metric.inputs == "values" else "only one class present?"
        raise UserError(
            f"metric: {metric.name} is undefined on these {len(targets)} images ({reason}). Use "
            "fewer folds, larger groups or another metric."
        )
    return float(value)


def expected_index(probabilities: np.ndarray) -> np.ndarray:
    """The expected class index of probabilities [N, C]: [N], from 0 to C - 1."""
    return probabilities @ np.arange(probabilities.shape[1])
