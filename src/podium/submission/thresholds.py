"""Cuts that are fitted to the metric: where probabilities, or numbers, become labels."""

from collections.abc import Callable

import numpy as np

from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task

CANDIDATES = 100  # places at which a cut is tried
ROUNDS = 10  # of trying all cuts, each beside the others
GRID = np.arange(1, 50) / 50  # where one cut of all classes is tried
IMAGES_AT_ONCE = 4096
OF_EACH_CLASS = ("macro_f1", "weighted_f1")  # means over the classes: each has its own best cut


def is_fitted(task: Task, metric: Metric) -> bool:
    """Whether the metric wants cuts of its own."""
    return task.name in metric.tune_for


def fit(task: Task, metric: Metric, targets: np.ndarray, logits: np.ndarray) -> DecisionRule:
    """The cuts at which logits [N, C] score best against the targets; among those that score the
    same the nearest to the plain ones.
    """
    predicted = task.probabilities(logits)
    lowest = 0
    if task.name == "regression":
        whole = np.rint(targets)
        lowest = int(whole.min())
        cuts = np.arange(lowest, int(whole.max())) + 0.5
        values = predicted[:, 0]
    elif task.name == "ordinal":
        cuts, values = (
            np.arange(len(task.classes) - 1) + 0.5,
            decisions.expected_index(predicted),
        )
    elif task.name == "multilabel":
        each = _fit_multilabel(metric.name, targets, predicted)
        return DecisionRule(each, min_labels=decisions.min_labels(targets))
    else:
        cuts, values = np.array([0.5]), predicted[:, 1]

    # Images of one class between two places always get the same label: one stands for all.
    places = _places(values)
    between = np.searchsorted(np.sort(np.concatenate([places, cuts])), values)
    kinds = np.stack([between, targets.reshape(len(targets))], axis=1)
    _, rows, counts = np.unique(kinds, axis=0, return_index=True, return_counts=True)
    targets, predicted = targets[rows], predicted[rows]

    def scored(tried: np.ndarray) -> float:
        found = decisions.labels(task, predicted, DecisionRule(tried.tolist(), lowest))
        return metric.rank(decisions.score_labels(task, metric, targets, found, counts=counts))

    return DecisionRule(_climb(cuts, places, scored).tolist(), lowest)


def out_of_fold(
    task: Task,
    metric: Metric,
    targets: np.ndarray,
    logits_for: Callable[[int], np.ndarray],
    folds: np.ndarray,
) -> np.ndarray:
    """Labels of each fold's images by cuts that were fitted on the other folds, so that their score
    is an honest estimate; by the plain ones where there is only one fold. `logits_for` gives, for a
    fold, logits of all images [N, C] in which that fold's labels have no part.
    """
    found = np.empty(targets.shape)
    for fold in np.unique(folds):
        here, logits = folds == fold, logits_for(int(fold))
        decision = decisions.default_rule(task, targets)
        if not here.all():
            decision = fit(task, metric, targets[~here], logits[~here])
        found[here] = decisions.labels(task, task.probabilities(logits[here]), decision)
    return found.astype(targets.dtype)


def _fit_multilabel(metric: str, targets: np.ndarray, predicted: np.ndarray) -> list[float]:
    if metric in OF_EACH_CLASS:
        pairs = zip(targets.T, predicted.T, strict=True)
        return [_best_for_f1(wanted, found) for wanted, found in pairs]
    if metric == "micro_f1":
        cut = _best_for_f1(targets.ravel(), predicted.ravel())
    else:
        cut = _best_for_images(metric, targets, predicted)
    return [cut] * targets.shape[1]


def _best_for_f1(targets: np.ndarray, predicted: np.ndarray) -> float:
    """The cut of probabilities [N] with the best F1 of 0 and 1 [N], of all there are; of those as
    good the nearest to a half.
    """
    order = np.argsort(-predicted, kind="stable")
    values, wanted = predicted[order], targets[order]
    ends = np.flatnonzero(np.append(values[1:] < values[:-1], True))  # of images alike
    chosen, positives = ends + 1, wanted.sum()
    f1 = 2 * wanted.cumsum()[ends] / (chosen + positives)
    plain = np.count_nonzero(values > 0.5)
    if 2 * wanted[:plain].sum() / max(1, plain + positives) >= f1.max():
        return 0.5
    cuts = (values[ends] + np.append(values[ends[:-1] + 1], 0)) / 2  # midway to the next
    best = cuts[f1 == f1.max()]
    return float(best[abs(best - 0.5).argmin()])


def _best_for_images(metric: str, targets: np.ndarray, predicted: np.ndarray) -> float:
    """The place of `GRID` with the best mean over the images of accuracy, or else of F1; of those
    as good the nearest to a half. All places are counted in one pass: to have scikit-learn score
    each takes 60 times as long (20,000 images of 1,000 labels: 75 s a fit).
    """
    total, fewest = np.zeros(len(GRID)), decisions.min_labels(targets)
    for start in range(0, len(targets), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        wanted, below = targets[part] > 0, np.searchsorted(GRID, predicted[part])
        positives = wanted.sum(axis=1, keepdims=True)
        chosen, right = _over_grid(below), _over_grid(np.where(wanted, below, 0))
        if fewest:  # where none is chosen, the likeliest is
            likeliest = np.take_along_axis(wanted, predicted[part].argmax(axis=1)[:, None], axis=1)
            right = np.where(chosen == 0, likeliest, right)
            chosen = chosen.clip(1)
        if metric == "accuracy":
            each = (chosen == right) & (right == positives)
        else:
            both = chosen + positives
            each = np.divide(2 * right, both, out=np.ones(both.shape), where=both > 0)
        total += each.sum(axis=0)
    best = GRID[total == total.max()]
    return float(best[abs(best - 0.5).argmin()])


def _over_grid(below: np.ndarray) -> np.ndarray:
    """How many of an image's numbers are over each place of `GRID`, [N, 49], from how many places
    are below each number [N, C].
    """
    images, width = len(below), len(GRID) + 1
    cells = np.arange(images)[:, None] * width + below
    counts = np.bincount(cells.ravel(), minlength=images * width).reshape(images, width)
    return counts[:, :0:-1].cumsum(axis=1)[:, ::-1]


def _places(values: np.ndarray) -> np.ndarray:
    """Where a cut of `values` [N] is tried: midway between neighbours, or between quantiles."""
    found = np.unique(values)
    if len(found) > CANDIDATES:
        found = np.unique(np.quantile(found, np.linspace(0, 1, CANDIDATES), method="nearest"))
    return (found[1:] + found[:-1]) / 2


def _climb(
    cuts: np.ndarray, places: np.ndarray, scored: Callable[[np.ndarray], float]
) -> np.ndarray:
    """Move one cut after the other, between its neighbours, to the place that scores best, until
    none moves.
    """
    plain, best = cuts.copy(), scored(cuts)
    for _ in range(ROUNDS):
        before = best
        for index in range(len(cuts)):
            low = cuts[index - 1] if index else -np.inf
            high = cuts[index + 1] if index + 1 < len(cuts) else np.inf
            near = places[(places > low) & (places < high)]
            for place in near[np.argsort(abs(near - plain[index]), kind="stable")]:
                tried = cuts.copy()
                tried[index] = place
                if (value := scored(tried)) > best:
                    cuts, best = tried, value
        if best == before:
            break
    return cuts
