"""The competition's metric by its name, computed by scikit-learn."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn import metrics as sk

from podium.schema import MetricName


class Metric(NamedTuple):
    """How predictions are scored."""

    score: Callable[[np.ndarray, np.ndarray], float]  # classes [N], probabilities [N, C]
    higher_is_better: bool
    from_labels: bool  # computable from predicted classes alone


def _accuracy(targets: np.ndarray, probabilities: np.ndarray) -> float:
    return float(sk.accuracy_score(targets, probabilities.argmax(1)))


def _balanced_accuracy(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean recall of the classes that occur in `targets`."""
    present = np.unique(targets)
    return float(sk.recall_score(targets, probabilities.argmax(1), labels=present, average="macro"))


def _macro_f1(targets: np.ndarray, probabilities: np.ndarray) -> float:
    return float(sk.f1_score(targets, probabilities.argmax(1), average="macro", zero_division=0.0))


def _log_loss(targets: np.ndarray, probabilities: np.ndarray) -> float:
    labels = np.arange(probabilities.shape[1])
    return float(sk.log_loss(targets, probabilities.astype(np.float64), labels=labels))


METRICS: dict[MetricName, Metric] = {
    "accuracy": Metric(_accuracy, higher_is_better=True, from_labels=True),
    "balanced_accuracy": Metric(_balanced_accuracy, higher_is_better=True, from_labels=True),
    "macro_f1": Metric(_macro_f1, higher_is_better=True, from_labels=True),
    "log_loss": Metric(_log_loss, higher_is_better=False, from_labels=False),
}


def score(name: MetricName, targets: np.ndarray, logits: np.ndarray) -> float:
    """Score logits [N, C] against classes [N]."""
    return METRICS[name].score(targets, softmax(logits.astype(np.float64), axis=1))


def overview(targets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Accuracy, and macro precision, recall and F1 over the classes that occur in `targets` [N] or
    are predicted by `logits` [N, C].
    """
    predicted = logits.argmax(1)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        targets, predicted, average="macro", zero_division=0.0
    )
    accuracy = sk.accuracy_score(targets, predicted)
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1}


def rank(name: MetricName, value: float) -> float:
    """`value` such that more is better."""
    return value if METRICS[name].higher_is_better else -value
