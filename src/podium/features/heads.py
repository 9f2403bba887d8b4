"""The registry of heads on frozen features.

To add a head, add an entry to `HEADS`. All take features [N, D] and targets as `Task.targets`
returns them, and give logits [N, C] whose softmax (for multilabel, sigmoid) is the class
probabilities; for regression, the predicted numbers [N, 1].
"""

import numpy as np
from sklearn.svm import LinearSVC, LinearSVR

from podium.features.boosting import LIGHTGBM
from podium.features.linear import (
    LOGISTIC,
    MAX_ITERATIONS,
    RIDGE,
    WITHOUT_ORDINAL,
    Arrays,
    Head,
    columns,
    fit_columns,
    linear,
    powers,
)
from podium.features.neighbors import smooth, unit, vote
from podium.scoring.task import Task

VOTES = ("multiclass", "multilabel", "regression")  # kinds of targets for `_vote`


def _svm(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    kind = LinearSVR if task.name == "regression" else LinearSVC

    def fit(_: int, x: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, float]:
        model = kind(C=strength, dual=len(x) < x.shape[1], random_state=0, max_iter=MAX_ITERATIONS)
        if kind is LinearSVR:
            model.set_params(loss="squared_epsilon_insensitive")
        model.fit(x, column)
        return model.coef_.reshape(-1), float(np.ravel(model.intercept_)[0])

    return fit_columns(features, targets, task, fit)


def _neighbors(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    return {
        "features": unit(features).astype(np.float32),
        "columns": columns(targets, task).astype(np.float32),
        "neighbors": np.array([max(1, round(1 / strength))], np.float32),
        "votes": np.array([VOTES.index(task.name) if task.name in VOTES else 0], np.float32),
    }


def _vote(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The logarithm of each class's share of the neighbors, weighted by similarity; multilabel: its
    log-odds; regression: the weighted mean of their numbers.
    """
    count = min(int(arrays["neighbors"][0]), len(arrays["features"]))
    votes = vote(unit(features), arrays["features"], arrays["columns"], count=count)
    kind = VOTES[int(arrays["votes"][0])]
    if kind == "regression":
        return votes
    prior = 0.5 if kind == "multilabel" else 1 / votes.shape[1]
    smoothed = smooth(votes, count=count, prior=prior)
    return np.log(smoothed) - (np.log1p(-smoothed) if kind == "multilabel" else 0)


HEADS: dict[str, Head] = {
    "logistic": LOGISTIC,
    "ridge": RIDGE,
    "svm": Head(_svm, linear, powers(-6, 0), WITHOUT_ORDINAL),
    "knn": Head(_neighbors, _vote, tuple(1 / k for k in (200, 100, 50, 20, 10, 5, 3, 1))),
    "lightgbm": LIGHTGBM,
}
