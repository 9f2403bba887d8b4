"""Several targets: a head for each, fitted to the images that have a label."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from podium.core.errors import UserError
from podium.features import fitting
from podium.features.fitting import Blocks, Fitted
from podium.features.linear import Arrays, Head
from podium.scoring.task import Task

MIN_IMAGES = 2  # for cross-validation


class FittedHeads(NamedTuple):
    """A fitted head per target."""

    arrays: Arrays  # of all heads, by position of the target and name
    strength: dict[str, float]  # by target
    loss: float  # the mean over the targets


def fit(
    head_of: Callable[[str, Task], Head],
    features: np.ndarray,
    targets: np.ndarray,
    *,
    blocks: Blocks,
    task: Task,
    folds: np.ndarray,
    strength: float | None = None,
    seed: int,
) -> FittedHeads:
    """Fit a head for each target, by its name and task; for the arguments, see `fitting.fit`.

    Raises:
        UserError: if a target has too few labels.
    """
    fitted = dict[str, Fitted]()
    for part in task.parts:
        rows = part.labeled(targets)
        if rows.sum() < MIN_IMAGES:
            raise UserError(
                f"{rows.sum()} training images have a label of {part.name}, a probe needs "
                f"{MIN_IMAGES}. Use fewer folds, or remove the target."
            )
        fitted[part.name] = fitting.fit(
            head_of(part.name, part.task),
            features[rows],
            part.of_labeled(targets),
            blocks=blocks,
            task=part.task,
            folds=folds[rows],
            strength=strength,
            seed=seed,
        )
    arrays = {
        f"{position}.{name}": values
        for position, head in enumerate(fitted.values())
        for name, values in head.arrays.items()
    }
    loss = float(np.mean([head.loss for head in fitted.values()]))
    return FittedHeads(arrays, {name: head.strength for name, head in fitted.items()}, loss)


def predict(
    head_of: Callable[[str, Task], Head],
    arrays: Mapping[str, np.ndarray],
    features: np.ndarray,
    task: Task,
) -> np.ndarray:
    """Logits of all targets: features [N, V, D] -> float32 [N, C]."""
    logits = []
    for part in task.parts:
        prefix = f"{part.position}."
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        logits.append(fitting.predict(head_of(part.name, part.task), own, features))
    return np.concatenate(logits, axis=1)
