"""`stack`: a linear model on the members' logits; logistic regression, or ridge for regression.

It is a probe whose features are the members' logits: standardized, with a strength that is chosen
by cross-validation over the folds.
"""

import numpy as np

from podium.features import fitting
from podium.features.linear import head_for
from podium.scoring.task import Task
from podium.submission.methods.base import Blend, Examples, Fitted, Method

SEED = 0  # of the parts for cross-validation if there is a single fold


def fit(examples: Examples) -> Fitted:
    """The weights, which are only shown, are the members' shares of the coefficients' sizes."""
    task, (members, _, classes) = examples.task, examples.logits.shape
    fitted = fitting.fit(
        head_for(task),
        _features(task, examples.logits),
        examples.targets,
        sizes=[classes] * members,
        task=task,
        folds=examples.folds,
        seed=SEED,
    )
    sizes = abs(fitted.arrays["weight"].astype(np.float64))  # [C, M * C]
    shares = sizes.reshape(-1, members, classes).sum(axis=(0, 2))
    total = shares.sum()
    weights = shares / total if total else np.full(members, 1 / members)
    return Fitted(weights, fitted.arrays)


def apply(task: Task, blend: Blend, logits: np.ndarray) -> np.ndarray:
    """Logits [M, N, C] -> [N, C]."""
    arrays = {name: np.array(values, np.float32) for name, values in blend.arrays.items()}
    return fitting.predict(head_for(task), arrays, _features(task, logits))


def _features(task: Task, logits: np.ndarray) -> np.ndarray:
    """The members' logits side by side: [M, N, C] -> float32 [N, 1, M * C].

    Those of an image with one class are centered, since a constant does not change its
    probabilities.
    """
    if task.single_label:
        logits = logits - logits.mean(axis=2, keepdims=True)
    members, images, classes = logits.shape
    joined = logits.transpose(1, 0, 2).reshape(images, 1, members * classes)
    return joined.astype(np.float32)


METHOD = Method(fit, apply, fits_scale=True)
