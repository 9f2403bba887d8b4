"""What blending methods share: their inputs, their result, and weighted averages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_softmax, logsumexp

from podium.core.provenance import Averaging
from podium.scoring.metrics import Metric
from podium.scoring.task import Task


class Examples(NamedTuple):
    """What a method is fitted to: the members' out-of-fold predictions, and the targets."""

    task: Task
    metric: Metric
    logits: np.ndarray  # [M, N, C]
    targets: np.ndarray  # in the form of `Task.targets`
    folds: np.ndarray  # [N]
    averaging: Averaging  # how the members are averaged
    metadata: pd.DataFrame | None = None  # rows of the images, if the method uses them


class Blend(NamedTuple):
    """A fitted method: how the members' logits become those of the ensemble, as JSON has it."""

    method: str
    averaging: Averaging
    weights: list[float]  # by member: none negative, the sum is 1
    arrays: dict[str, Any]  # what else the method has fitted: lists of numbers or texts, by name
    temperature: float = 1.0  # by which the blended logits are divided
    new_class_threshold: float | None = None  # the probability of a further class, the new one


class Fitted(NamedTuple):
    """What a method returns: weights [M], none negative, whose sum is 1, and further arrays."""

    weights: np.ndarray
    arrays: dict[str, np.ndarray]


def by_weights(task: Task, blend: Blend, logits: np.ndarray) -> np.ndarray:
    """The average by the blend's weights: logits [M, N, C] -> [N, C]."""
    del task
    return average(logits, np.array(blend.weights), blend.averaging)


def suits_all(metric: Metric) -> None:
    """The answer of a method that suits all metrics."""
    del metric


class Method(NamedTuple):
    """A blending method."""

    fit: Callable[[Examples], Fitted]
    apply: Callable[..., np.ndarray] = by_weights
    """Task, blend and the members' logits [M, N, C] -> the ensemble's logits [N, C]."""
    problem: Callable[[Metric], str | None] = suits_all
    """Why the method does not suit a metric; None: it does."""
    needs_targets: bool = True
    takes_metadata: bool = False
    """Whether it can also use `Examples.metadata`; `apply` then gets the metadata, or None, as its
    last argument."""
    takes_targets: bool = True
    """Whether it suits several targets."""
    fits_scale: bool = False
    """Whether it fits how sure the probabilities are, so that they need no temperature."""


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
