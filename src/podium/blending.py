"""Combining the members' logits."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit, log_softmax

from podium.problem import Problem


def blend(logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of members' logits: [M, N, C] and [M] -> [N, C]."""
    return np.einsum("m,mnc->nc", weights, logits).astype(np.float32)


def equal_weights(members: int) -> np.ndarray:
    """The weights of a plain mean: [M]."""
    return np.full(members, 1 / members)


def fit_weights(problem: Problem, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The weights, none negative and 1 together, whose blend has the least log loss, or of task:
    regression the least squared error: [M].

    `logits` are out of fold [M, N, C], `targets` as `Problem` has them. The problem is convex, so
    the answer does not depend on the start; it is solved by scipy's SLSQP.
    """
    logits = logits.astype(np.float64)
    members, count, classes = logits.shape
    wanted = np.eye(classes)[targets] if problem.one_class else targets.astype(np.float64)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.einsum("m,mnc->nc", weights, logits)
        error = problem.probabilities(mixed) - wanted  # d loss / d logits
        gradient = np.einsum("nc,mnc->m", error, logits) / count
        return float(_loss(problem, mixed, wanted).mean()), gradient

    result = minimize(
        loss,
        equal_weights(members),
        jac=True,
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
    )
    weights = np.clip(result.x, 0, None)
    return weights / weights.sum()


def _loss(problem: Problem, logits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each image [N], such that its gradient is probabilities - wanted."""
    if problem.task == "regression":
        return ((logits - wanted) ** 2).sum(1) / 2
    if problem.task == "multilabel":
        return -(wanted * log_expit(logits) + (1 - wanted) * log_expit(-logits)).sum(1)
    return -(wanted * log_softmax(logits, axis=1)).sum(1)


def out_of_fold(
    problem: Problem, logits: np.ndarray, targets: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """The blend of each fold's images with weights fitted on the other folds: [N, C].

    So its score is an honest estimate: no image's label has a part in its own blend. With a
    single fold there are no others, and the plain mean is given.
    """
    blended = blend(logits, equal_weights(len(logits)))
    for fold in np.unique(folds):
        here = folds == fold
        if not here.all():
            weights = fit_weights(problem, logits[:, ~here], targets[~here])
            blended[here] = blend(logits[:, here], weights)
    return blended
