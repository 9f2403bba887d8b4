"""Combining the members' logits."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit, log_softmax

from podium.core import console
from podium.scoring.task import Task


def blend(logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of members' logits: [M, N, C] and [M] -> [N, C]."""
    return np.einsum("m,mnc->nc", weights, logits).astype(np.float32)


def equal_weights(members: int) -> np.ndarray:
    """The weights of a plain mean: [M]."""
    return np.full(members, 1 / members)


def fit_weights(task: Task, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The weights, none negative and 1 together, whose blend has the least log loss, or of task:
    regression the least squared error: [M].

    `logits` are out of fold [M, N, C], `targets` as `Task` has them. The task is convex, so
    the answer does not depend on the start; it is solved by scipy's SLSQP.
    """
    logits, wanted = logits.astype(np.float64), targets.astype(np.float64)
    if task.single_label:
        wanted = np.zeros(logits.shape[1:])
        wanted[np.arange(len(targets)), targets] = 1
    if task.name == "regression":  # the solver's tolerance is absolute
        mean, deviation = wanted.mean(), wanted.std() or 1.0
        logits, wanted = (logits - mean) / deviation, (wanted - mean) / deviation
    members, count, _ = logits.shape

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.einsum("m,mnc->nc", weights, logits)
        error = task.probabilities(mixed) - wanted  # d loss / d logits
        gradient = np.einsum("nc,mnc->m", error, logits) / count
        return float(_loss(task, mixed, wanted).mean()), gradient

    result = minimize(
        loss,
        equal_weights(members),
        jac=True,
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
    )
    if not result.success:
        console.say(f"warning: the ensemble's weights may not be the best: {result.message}")
    weights = np.clip(result.x, 0, None)
    return weights / weights.sum()


def _loss(task: Task, logits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each image [N], such that its gradient is probabilities - wanted."""
    if task.name == "regression":
        return ((logits - wanted) ** 2).sum(1) / 2
    if task.name == "multilabel":
        return -(wanted * log_expit(logits) + (1 - wanted) * log_expit(-logits)).sum(1)
    return -(wanted * log_softmax(logits, axis=1)).sum(1)


def weights_by_fold(
    task: Task, logits: np.ndarray, targets: np.ndarray, folds: np.ndarray
) -> dict[int, np.ndarray]:
    """For each fold the weights fitted on the others: no image's label has a part in its own blend.
    With a single fold there are no others, and the weights are equal.
    """
    found = {}
    for fold in np.unique(folds):
        rest = folds != fold
        found[int(fold)] = (
            fit_weights(task, logits[:, rest], targets[rest])
            if rest.any()
            else equal_weights(len(logits))
        )
    return found


def blend_by_fold(
    logits: np.ndarray, weights: dict[int, np.ndarray], folds: np.ndarray
) -> np.ndarray:
    """The blend of each fold's images with the weights of that fold: [N, C]."""
    blended = np.empty(logits.shape[1:], np.float32)
    for fold, chosen in weights.items():
        blended[folds == fold] = blend(logits[:, folds == fold], chosen)
    return blended
