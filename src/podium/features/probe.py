"""Fit and apply the head that a probe's section of params.yaml names."""

from collections.abc import Sequence

import numpy as np

from podium.config.probes import Probe
from podium.features import fitting
from podium.features.fitting import Blocks, Fitted
from podium.features.heads import HEADS
from podium.features.linear import Arrays
from podium.features.neighbors import unit
from podium.scoring.task import Task

# Total standard deviation of the metadata relative to that of the image features. A metadata column
# is more informative than one of a thousand image features, so a linear head should shrink it less.
METADATA_SCALE = 2.0


def inputs(config: Probe, parts: Sequence[np.ndarray], metadata: np.ndarray | None) -> np.ndarray:
    """The input of the head: float32 [N, V, sum of D].

    Args:
        config: whether to normalize the features.
        parts: the features of each embedding: [N, V, D].
        metadata: the encoded columns: [N, D].
    """
    if config.normalize:
        parts = [unit(features) for features in parts]
    return fitting.join(parts, metadata)


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
    """Fit the head to training images; for the arguments, see `fitting.fit`. `sizes`: number of
    features per embedding, and last those of the metadata, if `config` has them.
    """
    head, scales = HEADS[config.head], [1.0] * len(sizes)
    if config.has_metadata and len(sizes) > 1:
        scales[-1] = fitting.metadata_scale(sizes[:-1], sizes[-1])
        scales[-1] *= METADATA_SCALE if head.is_linear else 1
    return fitting.fit(
        head,
        features,
        targets,
        blocks=Blocks(sizes, scales),
        task=task,
        folds=folds,
        strength=config.strength,
        seed=seed,
    )


def predict(kind: str, arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Logits of images, averaged over their views: features [N, V, D] -> float32 [N, C]."""
    return fitting.predict(HEADS[kind], arrays, features)
