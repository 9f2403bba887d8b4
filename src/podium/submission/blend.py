"""Blending: the weights with which the members' predictions are averaged.

To add a method, add a function to `METHODS`.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit, log_softmax, logsumexp

from podium.core import console
from podium.core.errors import UserError
from podium.core.provenance import Averaging
from podium.scoring.task import Task

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]  # weights [M] -> the loss, its gradient [M]


def average(logits: np.ndarray, weights: np.ndarray, averaging: Averaging) -> np.ndarray:
    """Average logits [M, N, C], or the probabilities behind them, with weights [M]: [N, C]."""
    if averaging == "probabilities":
        log_p = log_softmax(logits.astype(np.float64), axis=2)
        return logsumexp(log_p, axis=0, b=weights[:, None, None]).astype(np.float32)
    return np.einsum("m,mnc->nc", weights, logits).astype(np.float32)


def mean_over_folds(logits: Sequence[np.ndarray], averaging: Averaging) -> np.ndarray:
    """Average the test logits of a model's folds, each [N, C]: [N, C]."""
    stacked = np.stack(logits)
    if averaging == "probabilities":
        return average(stacked, np.full(len(stacked), 1 / len(stacked)), averaging)
    return stacked.mean(axis=0)


def common(averagings: Iterable[Averaging]) -> Averaging:
    """How to average members: probabilities if any one of them requires it."""
    return "probabilities" if "probabilities" in set(averagings) else "logits"


def equal_weights(
    task: Task, logits: np.ndarray, targets: np.ndarray, averaging: Averaging
) -> np.ndarray:
    """The weights of a plain mean."""
    del task, targets, averaging
    return np.full(len(logits), 1 / len(logits))


def fit_weights(
    task: Task, logits: np.ndarray, targets: np.ndarray, averaging: Averaging
) -> np.ndarray:
    """The weights whose blend has the lowest log loss; for regression, squared error.

    The loss is convex in the weights, so that the result does not depend on where the search
    starts.
    """
    members = len(logits)
    loss = (_mixture_loss if averaging == "probabilities" else _logit_loss)(task, logits, targets)
    result = minimize(
        loss,
        np.full(members, 1 / members),
        jac=True,
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
    )
    if not result.success:
        console.say(f"warning: the ensemble weights may not be optimal: {result.message}")
    weights = np.clip(result.x, 0, None)
    return weights / weights.sum()


# A method takes the members' logits [M, N, C], the targets as `Task.targets` returns them, and how
# the members are averaged. It returns weights [M], none negative, whose sum is 1.
METHODS: dict[str, Callable[[Task, np.ndarray, np.ndarray, Averaging], np.ndarray]] = {
    "mean": equal_weights,
    "weighted": fit_weights,
}


def fit(
    method: str, task: Task, logits: np.ndarray, targets: np.ndarray, averaging: Averaging
) -> np.ndarray:
    """The members' weights [M] by the blending method `method`.

    Raises:
        UserError: if the method does not take these arguments, or does not return one weight per
            member, non-negative, with the sum 1.
    """
    arguments = (task, logits.copy(), targets.copy(), averaging)  # a method may change its own
    try:
        inspect.signature(METHODS[method]).bind(*arguments)
    except TypeError as error:
        raise UserError(
            f"ensemble.method: {method} cannot be called with task, logits, targets and averaging "
            f"({error}). Give it these four parameters."
        ) from None
    weights = np.asarray(METHODS[method](*arguments), np.float64)
    is_valid = weights.shape == (len(logits),) and (weights >= 0).all()
    if not (is_valid and np.isclose(weights.sum(), 1)):
        raise UserError(
            f"ensemble.method: {method} returned the weights {weights.tolist()} for {len(logits)} "
            "members. Return one non-negative weight per member, with the sum 1."
        )
    return weights


def _logit_loss(task: Task, logits: np.ndarray, targets: np.ndarray) -> Loss:
    """The loss of a weighted mean of logits."""
    logits, targets = logits.astype(np.float64), targets.astype(np.float64)
    if task.single_label:
        targets = np.eye(logits.shape[2])[targets.astype(int)]
    if task.name == "regression":  # the solver's tolerance is absolute
        mean, deviation = targets.mean(), targets.std() or 1.0
        logits, targets = (logits - mean) / deviation, (targets - mean) / deviation

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        blended = np.einsum("m,mnc->nc", weights, logits)
        error = task.probabilities(blended) - targets  # the gradient with respect to `blended`
        gradient = np.einsum("nc,mnc->m", error, logits) / len(targets)
        return float(_per_image(task, blended, targets).mean()), gradient

    return loss


def _per_image(task: Task, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The loss of each image, [N], whose gradient is probabilities - targets."""
    if task.name == "regression":
        return ((logits - targets) ** 2).sum(1) / 2
    if task.name == "multilabel":
        return -(targets * log_expit(logits) + (1 - targets) * log_expit(-logits)).sum(1)
    return -(targets * log_softmax(logits, axis=1)).sum(1)


def _mixture_loss(task: Task, logits: np.ndarray, targets: np.ndarray) -> Loss:
    """The log loss of a weighted mean of probabilities."""
    probabilities = np.stack([task.probabilities(member) for member in logits])  # [M, N, C]
    correct = probabilities[:, np.arange(len(targets)), targets]  # [M, N]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixture = weights @ correct
        return float(-np.log(mixture).mean()), -(correct / mixture).mean(axis=1)

    return loss
