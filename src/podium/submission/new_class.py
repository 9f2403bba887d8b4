"""The new class: the label of images that belong to none of the classes that models know.

Its probability is a constant, the threshold. So an image whose best class has a lower one gets it
as its label, and in a list of the k best labels, it comes before all classes with a lower one.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from podium.core.errors import UserError
from podium.scoring import decisions
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import thresholds

DEFAULT_THRESHOLD = 0.5  # where none can be fitted, and of equally good ones the nearest to it


class NewClass(NamedTuple):
    """The label of the new class, and its threshold; None: fitted."""

    name: str
    threshold: float | None


def append(logits: np.ndarray, threshold: float) -> np.ndarray:
    """Logits [N, C] of the classes -> float32 [N, C + 1] with those of the new class, last."""
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    constant = np.full((len(logits), 1), np.log(threshold))
    return np.concatenate([log_p, constant], axis=1).astype(np.float32)


def fit(task: Task, metric: Metric, targets: np.ndarray, logits: np.ndarray) -> float:
    """The threshold with the best score of the logits [N, C] of the classes; among equals, the
    nearest to the default. Lower and higher than all probabilities are candidates, too.

    `task` has C + 1 classes, and `targets` [N] are C for images of the new class.
    """
    ranked = np.sort(task.probabilities(logits), axis=1)[:, -(metric.k or 1) :]
    candidates = thresholds.candidates(np.concatenate([[0.0], ranked.ravel(), [1.0]]))

    def score(threshold: np.ndarray) -> float:
        extended = append(logits, float(threshold[0]))
        return metric.rank(decisions.score(task, metric, targets, extended))

    default = np.array([DEFAULT_THRESHOLD])
    return float(thresholds.coordinate_ascent(default, candidates, score)[0])


def check(new_class: NewClass, labels: list[str]) -> None:
    """Raises: UserError: if there is nothing that the threshold could be fitted to."""
    if new_class.threshold is None and new_class.name not in labels:
        raise UserError(
            f"ensemble.new_class_threshold: auto requires training images labeled {new_class.name} "
            "in the folds that run, but there are none. Set a number, such as "
            f"{DEFAULT_THRESHOLD:g}."
        )
