"""The metrics that scikit-learn does not have, or not in the form that Kaggle uses.

Targets are as `Task.targets` returns them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as sk

from podium.scoring.task import Task

MIN_TPR = 0.8  # of the partial AUC
WEIGHTED_TPR = 0.4  # see weighted_auc
Weights = np.ndarray | None  # sample weights [N]


def balanced_accuracy(
    targets: np.ndarray, labels: np.ndarray, sample_weight: Weights = None
) -> float:
    """Mean recall over the classes present in `targets`."""
    present = np.unique(targets)
    return float(
        sk.recall_score(
            targets, labels, labels=present, average="macro", sample_weight=sample_weight
        )
    )


def kappa(targets: np.ndarray, labels: np.ndarray, sample_weight: Weights = None) -> float:
    """Cohen's kappa with quadratic weights: 1 - MSE / (MSE of independent targets and labels).

    It is computed on the numbers themselves: scikit-learn uses the indices of the levels that
    occur, which closes the gap of a missing level.
    """
    actual, predicted = np.rint(targets), np.rint(labels)
    actual_mean, predicted_mean = (
        np.average(values, weights=sample_weight) for values in (actual, predicted)
    )
    variances = [
        np.average((values - mean) ** 2, weights=sample_weight)
        for values, mean in ((actual, actual_mean), (predicted, predicted_mean))
    ]
    expected = sum(variances) + (actual_mean - predicted_mean) ** 2
    observed = np.average((actual - predicted) ** 2, weights=sample_weight)
    return float(1 - observed / expected) if expected else 1.0


def log_loss(targets: np.ndarray, probabilities: np.ndarray) -> float:
    if targets.ndim == 1:
        return float(sk.log_loss(targets, probabilities, labels=np.arange(probabilities.shape[1])))
    columns = zip(targets.T, probabilities.T, strict=True)
    return float(np.mean([sk.log_loss(*column, labels=[0, 1]) for column in columns]))


def one_vs_rest(
    targets: np.ndarray,
    probabilities: np.ndarray,
    *,
    function: Callable[..., float],
    needs_negatives: bool,
) -> float:
    """Mean one-vs-rest score over the classes for which it is defined; NaN if there are none."""
    scores = []
    for index, column in enumerate(probabilities.T):
        positive = targets == index if targets.ndim == 1 else targets[:, index] > 0
        if positive.any() and not (needs_negatives and positive.all()):
            scores.append(function(positive, column))
    return float(np.mean(scores)) if scores else np.nan


def average_precision(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Average precision of the positive class, or with more than two classes their mean."""
    if targets.ndim == 1 and probabilities.shape[1] == 2:
        targets, probabilities = targets[:, None], probabilities[:, 1:]
    return one_vs_rest(
        targets, probabilities, function=sk.average_precision_score, needs_negatives=False
    )


def map_at_k(targets: np.ndarray, probabilities: np.ndarray, *, k: int) -> float:
    """Mean average precision of the `k` highest-scoring classes; for a single label, 1 / rank.

    Source: the definition used by Kaggle's competitions; an image without labels scores 0.
    """
    if targets.ndim == 1:
        own = np.take_along_axis(probabilities, targets[:, None], axis=1)
        tied = (probabilities == own) & (np.arange(probabilities.shape[1]) < targets[:, None])
        rank = 1 + ((probabilities > own) | tied).sum(axis=1)
        return float(np.where(rank <= k, 1 / rank, 0).mean())
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(targets, best, axis=1)  # [N, k]
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    relevant = np.minimum(targets.sum(1), k).clip(min=1)
    return float(((precision * hits).sum(1) / relevant).mean())


def gap(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Global average precision (micro-AP): one prediction per image, its class of the highest
    probability, sorted by that over all images.

    Source: the evaluation page of google/landmark-recognition-2021 on Kaggle; equal probabilities
    are in the order of the images.
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    is_right = (probabilities.argmax(axis=1) == targets)[order]
    precision = is_right.cumsum() / np.arange(1, len(targets) + 1)
    return float((precision * is_right).sum() / len(targets))


def partial_auc(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The area under the ROC curve above a true-positive rate of `MIN_TPR`, up to 1 - `MIN_TPR`;
    NaN if there is only one class.

    Source: the metric of isic-2024-challenge on Kaggle.
    """
    if len(np.unique(targets)) < 2:
        return np.nan
    # With the classes swapped, a high true-positive rate is a low false-positive rate.
    limit = 1 - MIN_TPR
    scaled = sk.roc_auc_score(targets == 0, -probabilities[:, 1], max_fpr=limit)
    least = limit**2 / 2  # of a random order, which has a scaled area of 1/2
    return float(least + (limit - least) * (scaled - 0.5) / 0.5)


def weighted_auc(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The area under the ROC curve, with the area below a true-positive rate of `WEIGHTED_TPR`
    counted twice, normalized to a maximum of 1; NaN if there is only one class.

    Source: the evaluation page of alaska2-image-steganalysis on Kaggle.
    """
    if len(np.unique(targets)) < 2:
        return np.nan
    fpr, tpr, _ = sk.roc_curve(targets == 1, probabilities[:, 1], drop_intermediate=False)
    if WEIGHTED_TPR not in tpr:  # ties may cross it: add a point to split the area exactly
        place = np.searchsorted(tpr, WEIGHTED_TPR)
        fpr = np.insert(fpr, place, np.interp(WEIGHTED_TPR, tpr, fpr))
        tpr = np.insert(tpr, place, WEIGHTED_TPR)
    below = np.trapezoid(np.minimum(tpr, WEIGHTED_TPR), fpr)
    return float((np.trapezoid(tpr, fpr) + below) / (1 + WEIGHTED_TPR))


def probabilistic_f1(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """F1 of the positive class whose true and false positives are sums of probabilities; NaN
    without positives.

    Source: Yacouby and Axman (2020), https://aclanthology.org/2020.eval4nlp-1.9; the metric of
    rsna-breast-cancer-detection on Kaggle.
    """
    positive, probability = targets == 1, probabilities[:, 1]
    if not positive.any():
        return np.nan
    true, predicted = probability[positive].sum(), probability.sum()
    return float(2 * true / (predicted + positive.sum()))


def pooled_rmse(targets: np.ndarray, values: np.ndarray) -> float:
    """The root mean squared error over the values of all targets together."""
    return float(np.sqrt(np.mean((values - targets) ** 2)))


def rmsle(targets: np.ndarray, values: np.ndarray) -> float:
    """The root mean squared error of log(1 + value), of several targets their mean; predictions
    below 0 count as 0. NaN if a target is negative.
    """
    if (targets < 0).any():
        return np.nan
    logs = np.log1p(np.maximum(values, 0)) - np.log1p(targets)
    return float(np.sqrt((logs**2).mean(axis=0)).mean())


def overview(task: Task, targets: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy, and macro precision, recall and F1 over the classes present in `targets` or
    `labels`; None for regression and several targets.
    """
    keys = ("accuracy", "precision", "recall", "f1")
    if task.name in ("regression", "multitarget"):
        return dict.fromkeys(keys)
    accuracy = float(sk.accuracy_score(targets, labels))
    scores = sk.precision_recall_fscore_support(targets, labels, average="macro", zero_division=0.0)
    return dict(zip(keys, (accuracy, *map(float, scores[:3])), strict=True))
