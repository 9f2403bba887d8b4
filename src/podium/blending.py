"""Combining the members' logits."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax


def blend(logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of members' logits: [M, N, C] and [M] -> [N, C]."""
    return np.einsum("m,mnc->nc", weights, logits).astype(np.float32)


def equal_weights(members: int) -> np.ndarray:
    """The weights of a plain mean: [M]."""
    return np.full(members, 1 / members)


def fit_weights(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The weights, none negative and 1 together, whose blend has the least log loss: [M].

    `logits` are out of fold [M, N, C], `targets` the classes [N]. The problem is convex, so the
    answer does not depend on the start; it is solved by scipy's SLSQP.
    """
    logits = logits.astype(np.float64)
    members, count, _ = logits.shape
    rows = np.arange(count)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.einsum("m,mnc->nc", weights, logits)
        error = softmax(mixed, axis=1)
        error[rows, targets] -= 1  # d loss / d logits
        gradient = np.einsum("nc,mnc->m", error, logits) / count
        return -float(log_softmax(mixed, axis=1)[rows, targets].mean()), gradient

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


def out_of_fold(logits: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The blend of each fold's images with weights fitted on the other folds: [N, C].

    So its score is an honest estimate: no image's label has a part in its own blend. With a
    single fold there are no others, and the plain mean is given.
    """
    blended = blend(logits, equal_weights(len(logits)))
    for fold in np.unique(folds):
        here = folds == fold
        if not here.all():
            weights = fit_weights(logits[:, ~here], targets[~here])
            blended[here] = blend(logits[:, here], weights)
    return blended
