"""Threshold tuning: from probabilities or numbers to labels.

Thresholds maximize the metric itself; scikit-learn's multilabel metrics have faster
implementations here.
"""

from collections.abc import Callable

import numpy as np

from podium.scoring import decisions, target_scoring
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Target, Task

MAX_CANDIDATES = 100  # per threshold
MAX_ROUNDS = 10  # coordinate ascent
MAX_LABELS = 20  # multilabel: with more classes one threshold serves all
GRID = np.arange(1, 50) / 50  # candidates for the probability of a label
IMAGES_PER_BLOCK = 4096


def fit(task: Task, metric: Metric, targets: np.ndarray, logits: np.ndarray) -> DecisionRule:
    """Find the thresholds with the best score of logits [N, C]; among equals, the nearest to the
    default. Several targets have thresholds each, if their metric asks for it.
    """
    if task.parts:
        rules = [_of_target(part, metric, targets, logits) for part in task.parts]
        return DecisionRule(targets=rules)
    probabilities = task.probabilities(logits)
    if task.name == "multilabel":
        tune = MULTILABEL.get(metric.name, _any_multilabel)
        thresholds = tune(metric, targets, probabilities)
        return DecisionRule(thresholds.tolist(), min_labels=decisions.min_labels(targets))
    offset = 0
    if task.name == "regression":
        values = probabilities[:, 0]
        rounded = np.rint(targets)
        offset = int(rounded.min())
        default = np.arange(offset, int(rounded.max())) + 0.5
    elif task.name == "ordinal":
        values = decisions.expected_index(probabilities)
        default = np.arange(len(task.classes) - 1) + 0.5
    else:
        values, default = probabilities[:, 1], np.array([0.5])

    # Images with the same target between the same two candidates always get the same label, so one
    # of them is scored with their total weight.
    tried = candidates(values)
    interval = np.searchsorted(np.sort(np.concatenate([tried, default])), values)
    kinds = np.stack([interval, targets.reshape(len(targets))], axis=1)
    _, rows, counts = np.unique(kinds, axis=0, return_index=True, return_counts=True)
    targets, probabilities = targets[rows], probabilities[rows]

    def score(thresholds: np.ndarray) -> float:
        labels = decisions.labels(task, probabilities, DecisionRule(thresholds.tolist(), offset))
        return metric.rank(decisions.score_labels(task, metric, targets, labels, counts=counts))

    return DecisionRule(coordinate_ascent(default, tried, score).tolist(), offset)


def _of_target(
    part: Target, metric: Metric, targets: np.ndarray, logits: np.ndarray
) -> DecisionRule:
    own = target_scoring.metric_of(metric, part)
    if part.task.name not in own.tune_for:
        return DecisionRule()
    rows = part.labeled(targets)
    return fit(part.task, own, part.of_labeled(targets), logits[rows, part.columns])


def coordinate_ascent(
    thresholds: np.ndarray,
    candidates: np.ndarray,
    score: Callable[[np.ndarray], float],
    *,
    ordered: bool = True,
) -> np.ndarray:
    """Move one threshold after the other to the candidate with the best score, until none moves;
    `ordered` ones stay between their neighbors.
    """
    default, best = thresholds, score(thresholds)
    for _ in range(MAX_ROUNDS):
        before = best
        for index in range(len(thresholds)):
            low = thresholds[index - 1] if ordered and index else -np.inf
            high = thresholds[index + 1] if ordered and index + 1 < len(thresholds) else np.inf
            allowed = candidates[(candidates > low) & (candidates < high)]
            for value in allowed[np.argsort(abs(allowed - default[index]), kind="stable")]:
                changed = thresholds.copy()
                changed[index] = value
                if (result := score(changed)) > best:
                    thresholds, best = changed, result
        if best == before:
            break
    return thresholds


def candidates(values: np.ndarray) -> np.ndarray:
    """Thresholds of `values` [N] to try: midway between neighbors, or between quantiles."""
    distinct = np.unique(values)
    if len(distinct) > MAX_CANDIDATES:
        shares = np.linspace(0, 1, MAX_CANDIDATES)
        distinct = np.unique(np.quantile(distinct, shares, method="nearest"))
    return (distinct[1:] + distinct[:-1]) / 2


def _any_multilabel(metric: Metric, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The best threshold for all classes together, then, unless there are many, for each class."""
    _, classes = targets.shape
    task = Task("multilabel", [str(index) for index in range(classes)])
    min_labels = decisions.min_labels(targets)

    def score(thresholds: np.ndarray) -> float:
        rule = DecisionRule(thresholds.tolist(), min_labels=min_labels)
        labels = decisions.labels(task, probabilities, rule)
        return metric.rank(decisions.score_labels(task, metric, targets, labels))

    def score_common(threshold: np.ndarray) -> float:
        return score(threshold.repeat(classes))

    common = coordinate_ascent(np.array([0.5]), GRID, score_common).repeat(classes)
    if classes > MAX_LABELS:
        return common
    return coordinate_ascent(common, GRID, score, ordered=False)


def _f1_per_class(metric: Metric, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Thresholds for a mean of the classes' F1: each class has its own best one."""
    del metric
    pairs = zip(targets.T, probabilities.T, strict=True)
    return np.array([_best_f1_threshold(column, predicted) for column, predicted in pairs])


def _f1_of_all(metric: Metric, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """One threshold for the F1 of all classes' labels together."""
    del metric
    threshold = _best_f1_threshold(targets.ravel(), probabilities.ravel())
    return np.full(targets.shape[1], threshold)


def _best_f1_threshold(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The threshold with the best F1 of all possible ones; among equals, the nearest to 0.5.

    `targets` [N] are 0 or 1.
    """
    order = np.argsort(-probabilities, kind="stable")
    values, hits = probabilities[order], targets[order]
    last = np.flatnonzero(np.append(values[1:] < values[:-1], True))  # last of equal values
    selected, positives = last + 1, hits.sum()
    f1 = 2 * hits.cumsum()[last] / (selected + positives)
    default = np.count_nonzero(values > 0.5)
    if 2 * hits[:default].sum() / max(1, default + positives) >= f1.max():
        return 0.5
    thresholds = (values[last] + np.append(values[last[:-1] + 1], 0)) / 2  # midway to the next
    best = thresholds[f1 == f1.max()]
    return float(best[abs(best - 0.5).argmin()])


def _per_image(metric: Metric, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """One threshold for the mean over the images of accuracy or F1: the best of `GRID`; among
    equals, the nearest to 0.5.

    All of `GRID` is counted in one pass. Scoring each threshold with scikit-learn takes 60 times as
    long: 75 s for 20,000 images with 1,000 classes.
    """
    total, min_labels = np.zeros(len(GRID)), decisions.min_labels(targets)
    for start in range(0, len(targets), IMAGES_PER_BLOCK):
        block = slice(start, start + IMAGES_PER_BLOCK)
        actual, predicted = targets[block] > 0, probabilities[block]
        below = np.searchsorted(GRID, predicted)  # how many thresholds are below each, [n, C]
        positives = actual.sum(axis=1, keepdims=True)
        selected, correct = _count_above(below), _count_above(np.where(actual, below, 0))
        if min_labels:  # without a label, an image gets the one with the highest probability
            top = predicted.argmax(axis=1)[:, None]
            correct = np.where(selected == 0, np.take_along_axis(actual, top, axis=1), correct)
            selected = selected.clip(1)
        if metric.name == "accuracy":
            scores = (selected == correct) & (correct == positives)
        else:
            both = selected + positives
            scores = np.divide(2 * correct, both, out=np.ones(both.shape), where=both > 0)
        total += scores.sum(axis=0)
    best = GRID[total == total.max()]
    return np.full(targets.shape[1], best[abs(best - 0.5).argmin()])


def _count_above(below: np.ndarray) -> np.ndarray:
    """How many of an image's probabilities are above each threshold of `GRID`, [N, 49].

    `below` [N, C] counts the thresholds below each probability.
    """
    images, width = len(below), len(GRID) + 1
    cells = np.arange(images)[:, None] * width + below
    counts = np.bincount(cells.ravel(), minlength=images * width).reshape(images, width)
    return counts[:, :0:-1].cumsum(axis=1)[:, ::-1]


MULTILABEL: dict[str, Callable[[Metric, np.ndarray, np.ndarray], np.ndarray]] = {
    "macro_f1": _f1_per_class,
    "weighted_f1": _f1_per_class,
    "micro_f1": _f1_of_all,
    "samples_f1": _per_image,
    "accuracy": _per_image,
}
