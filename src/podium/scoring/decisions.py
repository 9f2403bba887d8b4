"""Turn probabilities into labels, with default or tuned thresholds, and score either."""

import math
from collections.abc import Mapping
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from podium.core.errors import UserError
from podium.scoring import target_scoring
from podium.scoring.metrics import Metric
from podium.scoring.task import LABEL_SEPARATOR, Target, Task


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
    targets: list["DecisionRule"] | None = None
    """Multitarget: the rule of each target; None: the default ones."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "DecisionRule":
        """The rule from the values of `to_json`."""
        targets = [cls.of(rule) for rule in values.get("targets", ())]
        return cls(**{**values, "targets": targets or None})

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON has them, `targets` only if there are any."""
        values = self._asdict()
        targets = values.pop("targets")
        return {**values, "targets": [rule.to_json() for rule in targets]} if targets else values


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

    Returns labels in the form of `Task.targets`; for regression whole numbers [N, C]. Numbers among
    several targets are not rounded.
    """
    if task.name == "multitarget":
        columns = [_labels_of_target(part, predicted, rule) for part in task.parts]
        return np.stack(columns, axis=1).astype(np.float32)
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


def _labels_of_target(part: Target, predicted: np.ndarray, rule: DecisionRule) -> np.ndarray:
    """A column of labels [N]: class indices or numbers."""
    own = predicted[:, part.columns]
    if part.task.name == "regression":
        return own[:, 0]
    return labels(part.task, own, rule.targets[part.position] if rule.targets else DecisionRule())


def to_texts(task: Task, targets: np.ndarray) -> list[str]:
    """Convert targets to labels as our tables have them: the inverse of `Task.targets`."""
    if task.name == "multitarget":
        columns = [
            to_texts(part.task, column[:, None] if part.task.name == "regression" else column)
            for part, column in zip(task.parts, _columns(task, targets), strict=True)
        ]
        return [LABEL_SEPARATOR.join(row) for row in zip(*columns, strict=True)]
    if task.name == "regression":
        return [LABEL_SEPARATOR.join(f"{value:.6g}" for value in row) for row in targets]
    if task.name == "multilabel":
        return [LABEL_SEPARATOR.join(compress(task.classes, row > 0)) for row in targets]
    return [task.classes[index] for index in targets]


def _columns(task: Task, targets: np.ndarray) -> list[np.ndarray]:
    """The columns of targets [N, T] as the targets' own tasks have them: indices or numbers [N]."""
    numbers = [part.task.name == "regression" for part in task.parts]
    return [c if n else c.astype(int) for n, c in zip(numbers, targets.T, strict=True)]


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
    if metric.inputs == "labels" or task.name == "multitarget":
        return score_predictions(task, metric, targets, predicted, labels(task, predicted, rule))
    return score_probabilities(task, metric, targets, predicted)


def score_predictions(
    task: Task, metric: Metric, targets: np.ndarray, predicted: np.ndarray, labels: np.ndarray
) -> float:
    """Score probabilities [N, C], or for regression values, or the labels that a rule made of them,
    whichever the metric takes. Scores of several targets are combined.

    Raises:
        UserError: if the metric is undefined.
    """
    if task.name == "multitarget":
        scores = per_target(task, metric, targets, predicted, labels)
        return target_scoring.combine(task, metric, scores, task.label_counts(targets))
    if metric.inputs == "labels":
        return score_labels(task, metric, targets, labels)
    return score_probabilities(task, metric, targets, predicted)


def per_target(
    task: Task, metric: Metric, targets: np.ndarray, predicted: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """The score of each of several targets, of the images that have a label.

    Args:
        targets: [N, T], NaN where there is no label.
        predicted: probabilities and numbers [N, C].
        labels: class indices and numbers [N, T].

    Raises:
        UserError: if a metric is undefined.
    """
    scores = {}
    columns = _columns(task, labels)
    for part in task.parts:
        rows, own = part.labeled(targets), part.of_labeled(targets)
        if not len(own):
            raise UserError(
                f"metric: none of these {len(targets)} images has a label of {part.name}. Use "
                "fewer folds, or larger groups."
            )
        column = columns[part.position][rows]
        scores[part.name] = score_predictions(
            part.task,
            target_scoring.metric_of(metric, part),
            own,
            predicted[rows, part.columns],
            column[:, None] if part.task.name == "regression" else column,
        )
    return scores


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
