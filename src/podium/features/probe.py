"""Fit and apply the heads that a probe's section of params.yaml names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from podium.config.probes import Probe
from podium.features import fitting
from podium.features.heads import HEADS
from podium.features.linear import Arrays
from podium.scoring.task import Task


class Fitted(NamedTuple):
    """A probe's fitted heads."""

    arrays: Arrays  # of several heads, with their names in front
    strengths: dict[str, float]  # by head
    losses: dict[str, float]  # by head, in cross-validation among the training images


def fit(
    config: Probe,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    sizes: Sequence[int],
    task: Task,
    folds: np.ndarray,
    seed: int,
) -> Fitted:
    """Fit the heads to training images; for the arguments, see `fitting.fit`."""
    fitted = {
        name: fitting.fit(
            HEADS[name],
            features,
            targets,
            sizes=sizes,
            task=task,
            folds=folds,
            strength=config.strength,
            seed=seed,
        )
        for name in config.heads
    }
    arrays = {
        _key(config.heads, name, key): array
        for name, one in fitted.items()
        for key, array in one.arrays.items()
    }
    strengths = {name: one.strength for name, one in fitted.items()}
    return Fitted(arrays, strengths, {name: one.loss for name, one in fitted.items()})


def predict(heads: Sequence[str], arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Logits of images, averaged over their views and the heads: features [N, V, D] -> float32
    [N, C].
    """
    logits = []
    for name in heads:
        prefix = _key(heads, name, "")
        own = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        logits.append(fitting.predict(HEADS[name], own, features))
    mean: np.ndarray = np.mean(logits, axis=0)
    return mean


def _key(heads: Sequence[str], head: str, name: str) -> str:
    return f"{head}.{name}" if len(heads) > 1 else name
