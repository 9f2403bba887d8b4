"""Metrics with weights per class or target, such as `log_loss(any=2)`."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn import metrics as sk

from podium.config.tasks import SINGLE_LABEL, TaskName
from podium.core.errors import UserError, examples

WRITTEN = re.compile(r"(\w+)\((.*)\)")
OTHERS = "*"  # stands for the classes that are not named
SUPPORTED: dict[str, tuple[TaskName, ...]] = {
    "log_loss": (*SINGLE_LABEL, "multilabel"),
    "roc_auc": ("multiclass", "multilabel"),
    "average_precision": ("multiclass", "multilabel"),
    "mae": ("regression",),
    "rmse": ("regression",),
    "rmsle": ("regression",),
    "mape": ("regression",),
    "r2": ("regression",),
}
Weights = Mapping[str, tuple[float, float]]  # by class: absent, present


def parse(text: str, name: str, task: TaskName) -> Weights:
    """Parse `any=2, C1=1:2`: a weight per class, or separate weights for absent and present labels.
    `*` stands for the other classes; the default weight is 1.

    Raises:
        ValueError: if `text` is not valid, or `name` does not support weights for `task`.
    """
    if task not in SUPPORTED.get(name, ()):
        names = [metric for metric, tasks in SUPPORTED.items() if task in tasks]
        raise ValueError(
            f"{name} does not support weights for task: {task}. Choose from {', '.join(names)}."
        )
    weights = dict[str, tuple[float, float]]()
    for part in text.split(","):
        label, _, value = part.strip().rpartition("=")
        numbers = value.split(":")
        try:
            absent, present = float(numbers[0]), float(numbers[-1])
        except ValueError:
            absent = present = np.nan
        is_positive = 0 < absent < np.inf and 0 < present < np.inf
        if not label or label in weights or len(numbers) > 2 or not is_positive:
            raise ValueError(
                f"{name}({text}): {part.strip()!r} is not a weight, or its class is repeated. "
                f"Write one positive number per class, as in {name}(first=2, second=0.5)."
            )
        if len(numbers) == 2 and (name, task) != ("log_loss", "multilabel"):
            raise ValueError(
                f"{name}({text}): two weights per class require log_loss and task: multilabel. "
                f"Write one for {label}."
            )
        weights[label] = absent, present
    return weights


def bind(
    function: Callable[..., float], name: str, weights: Weights, classes: Sequence[str]
) -> Callable[..., float]:
    """The metric `name` with `weights`: the weighted mean of `function` over the classes or targets
    for which it is defined. `log_loss` is the weighted mean over all values, like scikit-learn's
    with `sample_weight`.

    Raises:
        UserError: if there are weights for unknown classes.
    """
    if unknown := [label for label in weights if label not in (OTHERS, *classes)]:
        raise UserError(
            f"metric: {name} has weights for unknown classes: {examples(unknown)}. The classes are "
            f"{examples(classes)}."
        )
    default = weights.get(OTHERS, (1.0, 1.0))
    table = np.array([weights.get(label, default) for label in classes])  # [C, 2]

    def score(targets: np.ndarray, predicted: np.ndarray) -> float:
        if name == "log_loss":
            return _log_loss(targets, predicted, table)
        predicted = predicted.reshape(len(predicted), -1)
        if targets.ndim == 1:
            single = predicted.shape[1] == 1
            targets = targets[:, None] if single else np.eye(predicted.shape[1])[targets]
        places = [[place] for place in range(len(table))]
        scores = np.array([function(targets[:, p], predicted[:, p]) for p in places])
        known = np.isfinite(scores)
        return float(np.average(scores[known], weights=table[known, 1])) if known.any() else np.nan

    return score


def _log_loss(targets: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> float:
    if targets.ndim == 1:
        labels = np.arange(probabilities.shape[1])
        return float(
            sk.log_loss(targets, probabilities, labels=labels, sample_weight=weights[targets, 1])
        )
    cells = np.where(targets > 0, weights[:, 1], weights[:, 0])  # [N, C]
    losses = [
        sk.log_loss(*column, labels=[0, 1], sample_weight=weight)
        for *column, weight in zip(targets.T, probabilities.T, cells.T, strict=True)
    ]
    return float(np.average(losses, weights=cells.sum(axis=0)))
