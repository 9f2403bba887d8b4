"""Fit and apply the head that a probe's section of params.yaml names."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from podium.config.probes import Probe
from podium.features import fitting, per_target
from podium.features.fitting import Blocks, Fitted
from podium.features.heads import HEADS
from podium.features.linear import Arrays, Head
from podium.features.neighbors import unit
from podium.features.per_target import FittedHeads
from podium.scoring.task import Task

# Total standard deviation of the metadata relative to that of the image features. A metadata column
# is more informative than one of a thousand image features, so a linear head should shrink it less.
METADATA_SCALE = 2.0
Kind = str | Mapping[str, str]  # of the head, or by target


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
) -> Fitted | FittedHeads:
    """Fit the head to training images; for the arguments, see `fitting.fit`. `sizes`: number of
    features per embedding, and last those of the metadata, if `config` has them.

    Raises:
        UserError: as `per_target.fit`.
    """
    kinds = [config.head] if isinstance(config.head, str) else [*config.head.values()]
    scales = [1.0] * len(sizes)
    if config.has_metadata and len(sizes) > 1:
        scales[-1] = fitting.metadata_scale(sizes[:-1], sizes[-1])
        scales[-1] *= METADATA_SCALE if all(HEADS[kind].is_linear for kind in kinds) else 1
    fit_heads: Callable[..., Fitted | FittedHeads] = partial(fitting.fit, HEADS[kinds[0]])
    if task.parts:
        fit_heads = partial(per_target.fit, _heads(config.head))
    return fit_heads(
        features,
        targets,
        blocks=Blocks(sizes, scales),
        task=task,
        folds=folds,
        strength=config.strength,
        seed=seed,
    )


def predict(
    kind: Kind, arrays: Arrays, features: np.ndarray, task: Task | None = None
) -> np.ndarray:
    """Logits of images, averaged over their views: features [N, V, D] -> float32 [N, C]. `task`: of
    several targets.
    """
    if task is not None and task.parts:
        return per_target.predict(_heads(kind), arrays, features, task)
    assert isinstance(kind, str)
    return fitting.predict(HEADS[kind], arrays, features)


def _heads(kind: Kind) -> Callable[[str, Task], Head]:
    """The head of a target, by its name and task."""

    def head_of(target: str, _: Task) -> Head:
        return HEADS[kind if isinstance(kind, str) else kind[target]]

    return head_of
