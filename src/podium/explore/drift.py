"""Train/test drift: how well classifiers tell test images from training images."""

from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from podium.explore import univariate

MAX_IMAGES = 5000  # per part, to train the classifier on
FOLDS = 5
STRENGTH = 1.0  # C of logistic regression on features of length 1
DIFFERS = 0.6  # minimum lower bound of the AUC for a difference to be reported


class Drift(NamedTuple):
    """How test images differ from training images in their features."""

    auc: float  # of a classifier on the features, cross-validated
    lower: float  # two standard errors below
    test_like: np.ndarray  # probability of being a test image, [N]

    @property
    def is_reported(self) -> bool:
        """Whether the AUC is high enough to report drift."""
        return self.lower >= DIFFERS


class Difference(NamedTuple):
    """A fact that differs between training and test images."""

    name: str
    auc: float  # of the fact alone, cross-validated
    lower: float  # bound, corrected for the number of facts

    @property
    def is_reported(self) -> bool:
        """Whether the AUC is high enough to report it."""
        return self.lower >= DIFFERS

    @property
    def verdict(self) -> str:
        """Whether it differs: unclear if the AUC is high, but of few images or groups."""
        if self.is_reported:
            return "yes"
        return "unclear" if self.auc >= DIFFERS else "no"


def measure(
    features: np.ndarray, is_test: np.ndarray, *, groups: np.ndarray, rng: np.random.Generator
) -> Drift | None:
    """Compare the features of training and test images; None if there are too few of either.

    Args:
        features: of all images, float32 [N, D].
        is_test: bool [N].
        groups: [N]; copies of an image have the same number and share a fold.
    """
    folds = univariate.split(len(is_test), rng, groups, strata=is_test)
    sides = (is_test, ~is_test)
    if min(len(np.unique(folds[side])) for side in sides) < FOLDS:
        return None
    probability = np.zeros(len(is_test))
    for fold in range(FOLDS):
        others = [np.flatnonzero(side & (folds != fold)) for side in sides]
        rows = np.concatenate([univariate.sample(side, MAX_IMAGES, rng) for side in others])
        model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=500)
        model.fit(features[rows], is_test[rows])
        own = folds == fold
        probability[own] = model.predict_proba(features[own])[:, 1]
    auc = univariate.area(is_test, probability)
    lower = float(_lower(np.array([auc]), is_test, groups)[0])
    return Drift(auc, lower, probability)


def compare(
    facts: dict[str, np.ndarray],
    is_test: np.ndarray,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
) -> list[Difference]:
    """How well each fact alone (name -> numbers or categories [N]) tells test from training images,
    highest AUC first; empty without images of both. `groups`: as in `measure`.
    """
    if not is_test.any() or is_test.all():
        return []
    groups = np.arange(len(is_test)) if groups is None else groups
    folds = univariate.split(len(is_test), rng, groups, strata=is_test)
    varying = {name: univariate.bins(values) for name, values in facts.items()}
    varying = {name: binned for name, binned in varying.items() if binned.max() > binned.min()}
    result = []
    for name, binned in varying.items():
        area = univariate.auc(binned, is_test[:, None].astype(float), folds)
        lower = float(_lower(area, is_test, groups, tests=len(varying))[0])
        result.append(Difference(name, float(area[0]), lower))
    return sorted(result, key=lambda difference: -difference.auc)


def _lower(
    areas: np.ndarray, is_test: np.ndarray, groups: np.ndarray, *, tests: int = 1
) -> np.ndarray:
    """See `univariate.lower_bound`, with groups as the independent samples."""
    weights = univariate.weights(groups)
    positives = np.array([weights[is_test].sum()])
    return univariate.lower_bound(areas, positives, weights.sum(), tests=tests)
