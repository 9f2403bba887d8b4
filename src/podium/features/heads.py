"""Heads on frozen features: linear models and nearest neighbors, with a strength that is chosen.

To add a head, add an entry to `HEADS`. All take features [N, D] and targets as `Task.targets`
returns them, and give logits [N, C] whose softmax (for multilabel, sigmoid) is the class
probabilities; for regression, the predicted numbers [N, 1].
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC, LinearSVR

from podium.config.tasks import TaskName
from podium.scoring.task import Task

Arrays = dict[str, np.ndarray]  # what a fitted head consists of, float32
CLASSIFICATION: tuple[TaskName, ...] = ("binary", "multiclass", "multilabel", "ordinal")
ALL_TASKS: tuple[TaskName, ...] = (*CLASSIFICATION, "regression")
WITHOUT_ORDINAL: tuple[TaskName, ...] = ("binary", "multiclass", "multilabel", "regression")
VOTES = ("multiclass", "multilabel", "regression")  # kinds of targets for `_vote`
MAX_ITERATIONS = 1_000
SCALES = tuple(2.0**power for power in range(-3, 6))  # of scores that are not yet logits
SHARPNESS = 20.0  # of a neighbor's weight: exp(SHARPNESS * cosine similarity)


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


def linear(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The scores [N, C] of a linear head with `weight` [C, D] and `bias` [C]."""
    scores: np.ndarray = features @ arrays["weight"].T + arrays["bias"]
    return scores


def _columns(targets: np.ndarray, task: Task) -> np.ndarray:
    """One column of 0 and 1 per class, or of standardized numbers: float64 [N, C]."""
    if task.name in ("multilabel", "regression"):
        return targets.astype(np.float64)
    return np.eye(len(task.classes))[targets]


def _fit_columns(
    features: np.ndarray,
    targets: np.ndarray,
    task: Task,
    fit: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]],
) -> Arrays:
    """Fit each column of `_columns` by itself: `fit` returns its weights and bias. A class that is
    in all images, or in none, has a constant score.
    """
    columns = _columns(targets, task)
    weight, bias = np.zeros((columns.shape[1], features.shape[1])), np.zeros(columns.shape[1])
    for index, column in enumerate(columns.T):
        if task.name != "regression" and column.min() == column.max():
            bias[index] = _prior(column)
        else:
            weight[index], bias[index] = fit(features, column)
    return {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


def _prior(column: np.ndarray) -> float:
    """The log-odds of a label that all images have, or none, with add-one smoothing."""
    return float(np.log((column.sum() + 1) / ((1 - column).sum() + 1)))


def _logistic(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    def create() -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=MAX_ITERATIONS)

    if task.name == "multilabel":

        def fit(x: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, float]:
            model = create().fit(x, column)
            return model.coef_[0], model.intercept_[0]

        return _fit_columns(features, targets, task, fit)
    present = np.unique(targets)
    weight = np.zeros((len(task.classes), features.shape[1]), np.float32)
    bias = np.full(len(task.classes), -np.log(len(targets) + 1.0), np.float32)
    if len(present) > 1:
        model = create().fit(features, targets)
        if len(present) == 2:  # scikit-learn has one row: the second class against the first
            weight[present[1]], bias[present] = model.coef_[0], (0.0, model.intercept_[0])
        else:
            weight[present], bias[present] = model.coef_, model.intercept_
            bias[present] -= model.intercept_.mean()
    else:
        bias[present] = 0.0
    return {"weight": weight, "bias": bias}


def _ridge(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    columns = _columns(targets, task)
    if task.name != "regression":
        columns = 2 * columns - 1  # so that 0 is the boundary
    model = Ridge(alpha=1 / strength).fit(features, columns)
    weight = model.coef_.reshape(columns.shape[1], -1)
    bias = np.broadcast_to(model.intercept_, columns.shape[1])
    return {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


def _svm(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    kind = LinearSVR if task.name == "regression" else LinearSVC

    def fit(x: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, float]:
        model = kind(C=strength, dual=len(x) < x.shape[1], random_state=0, max_iter=MAX_ITERATIONS)
        if kind is LinearSVR:
            model.set_params(loss="squared_epsilon_insensitive")
        model.fit(x, column)
        return model.coef_.reshape(-1), float(np.ravel(model.intercept_)[0])

    return _fit_columns(features, targets, task, fit)


def _neighbors(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    return {
        "features": _unit(features).astype(np.float32),
        "columns": _columns(targets, task).astype(np.float32),
        "neighbors": np.array([max(1, round(1 / strength))], np.float32),
        "votes": np.array([VOTES.index(task.name) if task.name in VOTES else 0], np.float32),
    }


def _vote(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The logarithm of each class's share of the neighbors, weighted by similarity; multilabel: its
    log-odds; regression: the weighted mean of their numbers.
    """
    similarity = SHARPNESS * (_unit(features) @ arrays["features"].T)  # [N, training images]
    count = min(int(arrays["neighbors"][0]), similarity.shape[1])
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    weights = np.take_along_axis(similarity, nearest, axis=1)
    shares = np.exp(weights - logsumexp(weights, axis=1, keepdims=True))  # [N, count]
    votes = np.einsum("nk,nkc->nc", shares, arrays["columns"][nearest])
    kind = VOTES[int(arrays["votes"][0])]
    if kind == "regression":
        return votes
    prior = 0.5 if kind == "multilabel" else 1 / votes.shape[1]
    smoothed = (count * votes + prior) / (count + 1)
    return np.log(smoothed) - (np.log1p(-smoothed) if kind == "multilabel" else 0)


def _unit(features: np.ndarray) -> np.ndarray:
    """Features [N, D] of length 1."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: np.ndarray = features / np.maximum(lengths, 1e-12)
    return unit


def _powers(first: float, last: float) -> tuple[float, ...]:
    """Two per power of ten, from 10^first to 10^last."""
    return tuple(float(f"{x:.3g}") for x in 10.0 ** np.arange(first, last + 0.1, 0.5))


HEADS: dict[str, Head] = {
    "logistic": Head(_logistic, linear, _powers(-4, 1), CLASSIFICATION, are_logits=True),
    "ridge": Head(_ridge, linear, _powers(-6, 1), WITHOUT_ORDINAL),
    "svm": Head(_svm, linear, _powers(-6, 0), WITHOUT_ORDINAL),
    "knn": Head(_neighbors, _vote, tuple(1 / k for k in (200, 100, 50, 20, 10, 5, 3, 1))),
}
