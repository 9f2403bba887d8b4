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


def problem(metric: Metric) -> str | None:
    """Why `metric` cannot score the new class; None: it can."""
    if metric.inputs == "labels" or metric.k is not None:
        return None
    return (
        f"requires a metric of labels or map@k, not {metric.name}: the new class has a threshold, "
        "but no probabilities."
    )


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
    new = len(task.classes) - 1
    probabilities = task.probabilities(logits)
    if metric.inputs == "labels":
        labels, best = probabilities.argmax(axis=1), probabilities.max(axis=1, keepdims=True)

        def score(thresholds_: np.ndarray) -> float:
            decided = np.where(best[:, 0] < thresholds_[0], new, labels)
            return metric.rank(decisions.score_labels(task, metric, targets, decided))

    else:
        assert metric.k is not None  # see `problem`
        best, places = _ranked(probabilities, targets, metric.k)

        def score(thresholds_: np.ndarray) -> float:
            columns = [best, np.zeros((len(best), 1)), np.full((len(best), 1), thresholds_[0])]
            return metric.rank(metric.function(places, np.concatenate(columns, axis=1)))

    tried = [thresholds.candidates(np.array([0.0, *column, 1.0])) for column in best.T]
    default = np.array([DEFAULT_THRESHOLD])
    candidates = np.unique(np.concatenate(tried))
    return float(thresholds.coordinate_ascent(default, candidates, score)[0])


def _ranked(
    probabilities: np.ndarray, targets: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` highest probabilities of each image in descending order, [N, K], and the place of
    its target among them; K if it has another class, K + 1 if it has the new one.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    size = order.shape[1]
    hits = order == targets[:, None]
    places = np.where(hits.any(axis=1), hits.argmax(axis=1), size)
    places[targets == probabilities.shape[1]] = size + 1
    return np.take_along_axis(probabilities, order, axis=1), places


def check(new_class: NewClass, labels: list[str]) -> None:
    """Raises: UserError: if there is nothing that the threshold could be fitted to."""
    if new_class.threshold is None and new_class.name not in labels:
        raise UserError(
            f"ensemble.new_class_threshold: auto requires training images labeled {new_class.name} "
            "in the folds that run, but there are none. Set a number, such as "
            f"{DEFAULT_THRESHOLD:g}."
        )
