"""Likely label errors: labels that disagree with the nearest neighbors and with a classifier.

Class probabilities are the geometric mean of the nearest neighbors' votes and of a linear model on
the features that was not fitted to the image. The probability of the given label is compared with
the highest one and with the class's mean, since labels such as "other" always look unlikely.

Source: confident learning also uses per-class thresholds (Northcutt et al. 2021,
https://arxiv.org/abs/1911.00068).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from podium.explore import nearest
from podium.scoring.task import Task

NEIGHBORS, SHARPNESS = 20, 10.0  # weight of a neighbor: exp(SHARPNESS * similarity)
STRENGTH, MAX_ITERATIONS = 3.0, 300  # of logistic regression on features of length 1
MAX_FITTED = 10_000  # images the classifier is fitted to
BLOCK = 4096  # images whose probabilities are in memory at once
MAX_SCORE = 0.25  # of a listed image
MAX_SHARE = 0.05  # of the images: the list must stay short enough to review
MAX_LABELS = 50  # most frequent labels of a multilabel task
OUTLIER = 4.5  # robust standard deviations of a regression's residual
FLOOR = 1e-6  # of probabilities


class Issue(NamedTuple):
    """A label that is likely wrong."""

    row: int
    score: float  # lower: more likely wrong
    suggestion: str  # the label that neighbors and classifier predict
    alike: int  # number of neighbors with the same label


class Issues(NamedTuple):
    """The likely label errors, most likely first, and the neighbors of all images."""

    found: list[Issue]
    neighbors: np.ndarray  # rows, the nearest first: [N, NEIGHBORS]


def find(
    features: np.ndarray, task: Task, labels: list[str], folds: np.ndarray, rng: np.random.Generator
) -> Issues:
    """Find labels that are likely wrong.

    Args:
        features: of the training images, float32 [N, D], of length 1.
        labels: [N], as in train.csv.
        folds: [N]; the classifier for a fold is fitted to the other folds.
    """
    near = nearest.search(features, features, NEIGHBORS, are_same=True)
    targets = task.targets(labels)
    judge = _Judge(features, folds, near, rng)
    if not near.rows.shape[1] or len(np.unique(folds)) < 2:
        return Issues([], near.rows)
    if task.name == "regression":
        found = _outliers(judge, targets)
    elif task.name == "multilabel":
        found = _wrong_labels(judge, targets, task.classes)
    else:
        scores, best = judge.scores(targets, len(task.classes))
        alike = (targets[near.rows] == targets[:, None]).sum(axis=1)
        found = [
            Issue(int(row), float(scores[row]), task.classes[best[row]], int(alike[row]))
            for row in np.flatnonzero((best != targets) & (scores < MAX_SCORE))
        ]
    found = sorted(found, key=lambda issue: (issue.score, issue.row))
    return Issues(found[: max(1, round(MAX_SHARE * len(labels)))], near.rows)


class _Judge:
    """Scores targets by nearest neighbors and a classifier."""

    def __init__(
        self,
        features: np.ndarray,
        folds: np.ndarray,
        near: nearest.Nearest,
        rng: np.random.Generator,
    ) -> None:
        self.features, self.folds, self.rows = features, folds, near.rows
        weights = np.exp(SHARPNESS * near.similarity.astype(np.float64))
        self.weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        self.rng = rng

    def scores(self, targets: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The score of each image's own class [N], and its most probable class [N]."""
        own, top = np.zeros(len(targets)), np.ones(len(targets))
        best = np.zeros(len(targets), int)
        for rows, probabilities in self._probabilities(targets, count):
            own[rows] = probabilities[np.arange(len(rows)), targets[rows]]
            best[rows] = probabilities.argmax(axis=1)
            top[rows] = probabilities.max(axis=1)
        sizes = np.maximum(1, np.bincount(targets, minlength=count))
        usual = np.bincount(targets, weights=own, minlength=count) / sizes
        scores: np.ndarray = own / top / np.maximum(usual, FLOOR)[targets]
        return scores, best

    def predicted_numbers(self, targets: np.ndarray) -> np.ndarray:
        """Predict standardized targets [N, C] by neighbors and ridge regression."""
        predicted = np.einsum("nk,nkc->nc", self.weights, targets[self.rows])
        for train, own in self._splits():
            model = Ridge(alpha=1.0).fit(self.features[train], targets[train])
            linear = model.predict(self.features[own]).reshape(len(own), -1)
            predicted[own] = (predicted[own] + linear) / 2
        return predicted

    def _splits(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for fold in np.unique(self.folds):
            train = np.flatnonzero(self.folds != fold)
            if len(train) > MAX_FITTED:
                train = np.sort(self.rng.choice(train, MAX_FITTED, replace=False))
            yield train, np.flatnonzero(self.folds == fold)

    def _probabilities(
        self, targets: np.ndarray, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields rows [n] and their class probabilities [n, C]."""
        prior = np.bincount(targets, minlength=count) / len(targets)
        neighbors = self.rows.shape[1]
        for train, own in self._splits():
            present = np.unique(targets[train])
            model = None
            if len(present) > 1:
                model = LogisticRegression(C=STRENGTH, max_iter=MAX_ITERATIONS)
                model.fit(self.features[train], targets[train])
            for rows in np.array_split(own, max(1, -(-len(own) // BLOCK))):
                cells = np.arange(len(rows))[:, None] * count + targets[self.rows[rows]]
                weights = self.weights[rows].ravel()
                votes = np.bincount(cells.ravel(), weights, len(rows) * count)
                votes = votes.reshape(len(rows), count)
                smooth = (neighbors * votes + prior) / (neighbors + 1)
                linear = np.full((len(rows), count), FLOOR)
                if model is not None:
                    linear[:, present] += model.predict_proba(self.features[rows])
                both = np.sqrt(linear * np.maximum(smooth, FLOOR))
                yield rows, both / both.sum(axis=1, keepdims=True)


def _wrong_labels(judge: _Judge, targets: np.ndarray, classes: list[str]) -> list[Issue]:
    """Find at most one issue per image: the label that is most likely wrong."""
    worst = np.full(len(targets), np.inf)
    label = np.zeros(len(targets), int)
    common = np.argsort(-targets.sum(axis=0), kind="stable")[:MAX_LABELS]
    for index in common:
        column = (targets[:, index] > 0).astype(int)
        if column.min() == column.max():
            continue
        scores, best = judge.scores(column, 2)
        scores = np.where(best != column, scores, np.inf)
        label[scores < worst] = index
        worst = np.minimum(worst, scores)
    found = []
    for row in np.flatnonzero(worst < MAX_SCORE):
        index = int(label[row])
        has = targets[row, index] > 0
        same = int(((targets[judge.rows[row], index] > 0) == has).sum())
        text = f"without {classes[index]}" if has else f"with {classes[index]}"
        found.append(Issue(int(row), float(worst[row]), text, same))
    return found


def _outliers(judge: _Judge, targets: np.ndarray) -> list[Issue]:
    """Find targets far from the predictions of neighbors and a linear model."""
    std = targets.std(axis=0)
    scaled = (targets - targets.mean(axis=0)) / np.where(std > 0, std, 1)
    predicted = judge.predicted_numbers(scaled.astype(np.float64))
    residuals = np.abs(scaled - predicted)
    usual = np.maximum(1.4826 * np.median(residuals, axis=0), 1e-9)
    deviation = (residuals / usual).max(axis=1)
    value = predicted * np.where(std > 0, std, 1) + targets.mean(axis=0)
    found = []
    for row in np.flatnonzero(deviation > OUTLIER):
        text = ", ".join(f"{number:.4g}" for number in value[row])
        found.append(Issue(int(row), float(OUTLIER / deviation[row]), text, 0))
    return found
