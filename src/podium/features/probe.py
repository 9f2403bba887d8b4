"""Fit and apply the head that a probe's section of params.yaml names."""

from collections.abc import Sequence

import numpy as np

from podium.config.probes import Probe
from podium.features import fitting
from podium.features.fitting import Fitted
from podium.features.heads import HEADS
from podium.features.linear import Arrays
from podium.scoring.task import Task


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
    """Fit the head to training images; for the arguments, see `fitting.fit`."""
    return fitting.fit(
        HEADS[config.head],
        features,
        targets,
        sizes=sizes,
        task=task,
        folds=folds,
        strength=config.strength,
        seed=seed,
    )


def predict(kind: str, arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Logits of images, averaged over their views: features [N, V, D] -> float32 [N, C]."""
    return fitting.predict(HEADS[kind], arrays, features)
