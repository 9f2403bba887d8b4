"""Temperature scaling: logits divided by one number, so that probabilities are as sure as they are
right.

Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from podium.submission.methods.base import Examples
from podium.submission.methods.weighted import loss_per_image

LOWEST, HIGHEST = 0.1, 100.0


def fit(examples: Examples, blended: np.ndarray) -> float:
    """The temperature with the lowest log loss of the blend's logits [N, C].

    The loss has one minimum: it is convex in 1 / temperature.
    """
    task, targets = examples.task, examples.targets
    columns = np.eye(len(task.classes))[targets] if task.single_label else targets
    logits = blended.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return float(loss_per_image(task, scaled, columns).mean())

    found = minimize_scalar(loss, bounds=np.log([LOWEST, HIGHEST]), options={"xatol": 1e-6})
    return float(np.exp(found.x))
