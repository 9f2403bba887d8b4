"""Cross-validated AUC of a single numeric or categorical feature as a predictor of a label."""

from collections import Counter

import numpy as np
from scipy.stats import norm, rankdata

BINS = 24
FOLDS = 5
MAX_CATEGORIES = 200  # rarer ones share one bin
ERRORS = 2.0  # standard errors between an AUC and its lower bound, for a single test
FITTED = 1.4  # standard error of `auc` over that of fixed scores, if values are random (measured)
SMOOTHING = 2.0  # pseudo-count: images at the label's prior, added to each bin


def bins(values: np.ndarray) -> np.ndarray:
    """Bins of numbers [N], with about as many images in each, or of categories (text): int [N]."""
    if values.dtype.kind in "OU":
        texts = [str(value) for value in values]
        counts = Counter(texts)  # arrays of text have the width of the longest
        frequent = sorted(counts, key=lambda text: (-counts[text], text))[:MAX_CATEGORIES]
        rank = {text: index for index, text in enumerate(frequent)}
        return np.array([rank.get(text, MAX_CATEGORIES) for text in texts])
    numbers = np.nan_to_num(values.astype(np.float64), nan=-np.inf)
    distinct, codes = np.unique(numbers, return_inverse=True)
    if len(distinct) <= BINS:
        return codes
    ranks = (rankdata(numbers, method="average") - 1) / len(numbers)
    return np.minimum((ranks * BINS).astype(int), BINS - 1)


def auc(binned: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The AUC per label [C]. The score of an image is the share of the label among images of its
    bin in the other folds. NaN for labels that all images have, or none.

    Args:
        binned: int [N].
        labels: 0 and 1, [N, C].
        folds: cross-validation folds, int [N].
    """
    count = int(binned.max()) + 1
    cell = folds * count + binned  # one bin of one fold
    cells = (int(folds.max()) + 1) * count
    sizes = np.bincount(cell, minlength=cells)
    areas = []
    for column in labels.T:
        positive = np.bincount(cell, weights=column, minlength=cells)
        scores = _scores(positive.reshape(-1, count), sizes.reshape(-1, count))
        levels, index = np.unique(scores.round(12).ravel(), return_inverse=True)
        of_level = np.bincount(index, positive, len(levels))
        areas.append(_area(of_level, np.bincount(index, sizes, len(levels)) - of_level))
    return np.array(areas)


def _scores(positive: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How much more frequent the label is in a bin than overall, in the other folds: [F, B], from
    the number of images with the label and of all images, per fold and bin.
    """
    others, all_others = positive.sum(axis=0) - positive, sizes.sum(axis=0) - sizes
    prior = others.sum(axis=1, keepdims=True) / np.maximum(1, all_others.sum(axis=1, keepdims=True))
    scores: np.ndarray = (others + SMOOTHING * prior) / (all_others + SMOOTHING) - prior
    return scores


def _area(positive: np.ndarray, negative: np.ndarray) -> float:
    """The AUC from the number of images at each score, in ascending order."""
    if not (positive.sum() and negative.sum()):
        return float("nan")
    below = np.cumsum(negative) - negative
    wins = (positive * (below + negative / 2)).sum()
    return float(wins / (positive.sum() * negative.sum()))


def area(positive: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve; NaN without positives or without negatives."""
    positive = positive > 0
    count, total = int(positive.sum()), len(positive)
    if count in (0, total):
        return float("nan")
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (total - count)))


def weights(groups: np.ndarray) -> np.ndarray:
    """The weight of each image [N] with which all images of a group, which may be nearly the same,
    count as one.
    """
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    of_images: np.ndarray = 1 / sizes[codes]
    return of_images


def lower_bound(
    area: np.ndarray, positives: np.ndarray, count: float, *, tests: int = 1
) -> np.ndarray:
    """The AUC minus two standard errors, for so many independent samples; more if it is one of
    several `tests`, of which the best are picked, so that the probability that any true AUC is
    below its bound is at most that of a single test (Bonferroni correction). At most 0.5 for an AUC
    that random values may reach, whose standard error is larger.

    Source: Hanley and McNeil 1982, of the standard error; Dunn 1961, of the correction.
    """
    errors = norm.isf(norm.sf(ERRORS) / max(1, tests))
    negatives = np.maximum(1, count - positives)
    positives = np.maximum(1, positives)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    )
    bound = area - errors * np.sqrt(np.maximum(variance, 0) / (positives * negatives))
    random = FITTED * np.sqrt((positives + negatives + 1) / (12 * positives * negatives))
    is_chance = area - errors * random < 0.5
    limited: np.ndarray = np.where(is_chance, np.minimum(bound, 0.5), bound)
    return limited


def sample(rows: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """At most `limit` of the rows, ascending."""
    return rows if len(rows) <= limit else np.sort(rng.choice(rows, limit, replace=False))


def split(
    count: int,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    strata: np.ndarray | None = None,
) -> np.ndarray:
    """Random folds [N], grouped by `groups` and stratified by `strata` (0 or 1)."""
    _, codes = np.unique(np.arange(count) if groups is None else groups, return_inverse=True)
    stratum = np.zeros(codes.max() + 1, int)
    if strata is not None:
        np.maximum.at(stratum, codes, strata.astype(int))
    order = np.lexsort((rng.permutation(len(stratum)), stratum))
    folds = np.empty(len(stratum), int)
    folds[order] = np.arange(len(stratum)) % FOLDS
    of_rows: np.ndarray = folds[codes]
    return of_rows
