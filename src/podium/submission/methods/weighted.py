"""`mean` and `weighted`: equal weights, and those with the lowest loss."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit, log_softmax

from podium.core import console
from podium.core.provenance import Averaging
from podium.scoring.task import Task

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]  # weights [M] -> the loss, its gradient [M]


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


def _logit_loss(task: Task, logits: np.ndarray, targets: np.ndarray) -> Loss:
    """The loss of a weighted mean of logits."""
    logits, targets = logits.astype(np.float64), targets.astype(np.float64)
    known: np.ndarray | float = 1.0
    if task.single_label:
        targets = np.eye(logits.shape[2])[targets.astype(int)]
    if task.parts:
        mean, deviation = map(np.array, task.scale(targets))
        targets, known = columns_of_targets(task, targets)
        logits, targets = (logits - mean) / deviation, (targets - mean) / deviation
    if task.name == "regression":  # the solver's tolerance is absolute
        mean, deviation = targets.mean(axis=0), targets.std(axis=0)
        deviation[deviation == 0] = 1.0
        logits, targets = (logits - mean) / deviation, (targets - mean) / deviation

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        blended = np.einsum("m,mnc->nc", weights, logits)
        # The gradient with respect to `blended`.
        error = (task.probabilities(blended) - targets) * known
        gradient = np.einsum("nc,mnc->m", error, logits) / len(targets)
        return float(loss_per_image(task, blended, targets, known).mean()), gradient

    return loss


def columns_of_targets(task: Task, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets [N, T] with a column per class and number, as the logits have: [N, C], 0 where there
    is no label; and 1 where there is one, else 0, [N, C].
    """
    columns = np.zeros((len(targets), len(task.classes)))
    known = np.zeros_like(columns)
    for part in task.parts:
        rows, own = part.labeled(targets), part.of_labeled(targets)
        known[rows, part.columns] = 1
        is_number = part.task.name == "regression"
        columns[rows, part.columns] = own if is_number else np.eye(len(part.task.classes))[own]
    return columns, known


def loss_per_image(
    task: Task, logits: np.ndarray, targets: np.ndarray, known: np.ndarray | float = 1.0
) -> np.ndarray:
    """The loss of each image, [N], whose gradient is probabilities - targets, both [N, C]. `known`
    (see `columns_of_targets`) says which of several targets it has.
    """
    if task.parts:
        assert isinstance(known, np.ndarray)
        losses = [
            loss_per_image(part.task, logits[:, part.columns], targets[:, part.columns])
            * known[:, part.columns.start]
            for part in task.parts
        ]
        total: np.ndarray = np.sum(losses, axis=0)
        return total
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
