"""Linear heads on frozen features: logistic and ridge regression.

Training initializes a model's head with them, so they are apart from the other kinds, which it does
not need.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from podium.config.tasks import TaskName
from podium.scoring.task import Task

Arrays = dict[str, np.ndarray]  # what a fitted head consists of, float32
CLASSIFICATION: tuple[TaskName, ...] = ("binary", "multiclass", "multilabel", "ordinal")
ALL_TASKS: tuple[TaskName, ...] = (*CLASSIFICATION, "regression")
WITHOUT_ORDINAL: tuple[TaskName, ...] = ("binary", "multiclass", "multilabel", "regression")
MAX_ITERATIONS = 1_000


Path = Callable[[np.ndarray, np.ndarray, Task, Iterable[float]], Iterator[Arrays]]


class Head(NamedTuple):
    """A kind of head."""

    fit: Callable[[np.ndarray, np.ndarray, Task, float], Arrays]
    """Features, targets, task and strength -> arrays."""
    scores: Callable[[Arrays, np.ndarray], np.ndarray]
    """Arrays and features -> scores [N, C], proportional to logits."""
    strengths: tuple[float, ...]
    """To choose from, in ascending order: how closely the head fits the training images."""
    tasks: tuple[TaskName, ...] = ALL_TASKS
    are_logits: bool = False
    """Whether `scores` are logits, else they are scaled by a factor that is chosen, too."""
    path: Path | None = None
    """The results of `fit` for several strengths in ascending order, faster than one by one."""

    @property
    def is_linear(self) -> bool:
        """Whether rotating the features changes nothing."""
        return self.scores is linear

    def fit_path(
        self, features: np.ndarray, targets: np.ndarray, task: Task, strengths: Iterable[float]
    ) -> Iterator[Arrays]:
        """Fit with each of `strengths`, in ascending order."""
        if self.path is not None:
            return self.path(features, targets, task, strengths)
        return (self.fit(features, targets, task, strength) for strength in strengths)


def linear(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The scores [N, C] of a linear head with `weight` [C, D] and `bias` [C]."""
    scores: np.ndarray = features @ arrays["weight"].T + arrays["bias"]
    return scores


def columns(targets: np.ndarray, task: Task) -> np.ndarray:
    """One column of 0 and 1 per class, or of standardized numbers: float64 [N, C]."""
    if task.name in ("multilabel", "regression"):
        return targets.astype(np.float64)
    return np.eye(len(task.classes))[targets]


def fit_columns(
    features: np.ndarray,
    targets: np.ndarray,
    task: Task,
    fit: Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, float]],
) -> Arrays:
    """Fit each column of `columns` by itself: `fit` takes its index, the features and the column,
    and returns weights and bias. A class that is in all images, or in none, has a constant score.
    """
    values = columns(targets, task)
    weight, bias = np.zeros((values.shape[1], features.shape[1])), np.zeros(values.shape[1])
    for index, column in enumerate(values.T):
        if task.name != "regression" and column.min() == column.max():
            bias[index] = prior(column)
        else:
            weight[index], bias[index] = fit(index, features, column)
    return {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


def prior(column: np.ndarray) -> float:
    """The log-odds of a label that all images have, or none, with add-one smoothing."""
    return float(np.log((column.sum() + 1) / ((1 - column).sum() + 1)))


def _logistic(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    return next(_logistic_path(features, targets, task, [strength]))


def _logistic_path(
    features: np.ndarray, targets: np.ndarray, task: Task, strengths: Iterable[float]
) -> Iterator[Arrays]:
    """Fit with each of `strengths`, starting from the last."""
    models = defaultdict[int, LogisticRegression](
        lambda: LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)
    )  # one, or one per label
    for strength in strengths:
        if task.name == "multilabel":

            def fit(
                index: int, x: np.ndarray, column: np.ndarray, strength: float = strength
            ) -> tuple[np.ndarray, float]:
                model = models[index].set_params(C=strength).fit(x, column)
                return model.coef_[0], model.intercept_[0]

            yield fit_columns(features, targets, task, fit)
        else:
            yield _fit_classes(models[0].set_params(C=strength), features, targets, task)


def _fit_classes(
    model: LogisticRegression, features: np.ndarray, targets: np.ndarray, task: Task
) -> Arrays:
    present = np.unique(targets)
    weight = np.zeros((len(task.classes), features.shape[1]), np.float32)
    bias = np.full(len(task.classes), -np.log(len(targets) + 1.0), np.float32)
    if len(present) > 1:
        model.fit(features, targets)
        if len(present) == 2:  # scikit-learn has one row: the second class against the first
            weight[present[1]], bias[present] = model.coef_[0], (0.0, model.intercept_[0])
        else:
            weight[present], bias[present] = model.coef_, model.intercept_
            bias[present] -= model.intercept_.mean()
    else:
        bias[present] = 0.0
    return {"weight": weight, "bias": bias}


def _ridge(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    values = columns(targets, task)
    if task.name != "regression":
        values = 2 * values - 1  # so that 0 is the boundary
    model = Ridge(alpha=1 / strength).fit(features, values)
    weight = model.coef_.reshape(values.shape[1], -1)
    bias = np.broadcast_to(model.intercept_, values.shape[1])
    return {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


def powers(first: float, last: float) -> tuple[float, ...]:
    """Two per power of ten, from 10^first to 10^last."""
    return tuple(float(f"{x:.3g}") for x in 10.0 ** np.arange(first, last + 0.1, 0.5))


LOGISTIC = Head(
    _logistic, linear, powers(-4, 1), CLASSIFICATION, are_logits=True, path=_logistic_path
)
RIDGE = Head(_ridge, linear, powers(-6, 1), WITHOUT_ORDINAL)


def head_for(task: Task) -> Head:
    """Logistic regression; for regression, ridge regression."""
    return RIDGE if task.name == "regression" else LOGISTIC
