"""Likely label errors: labels that disagree with the nearest neighbors and with a classifier.

Class probabilities are the geometric mean of the nearest neighbors' votes and of a linear model on
the features that was not fitted to the image. The score is the probability of the given label,
relative to the highest one and to what is usual for the label. Since labels such as "other" always
look unlikely, confident learning has a threshold per class (Northcutt et al. 2021,
https://arxiv.org/abs/1911.00068). Where many classes are hard to tell apart, that spares wrong
labels, too; so what is usual for a label is averaged with what is usual for all (`LENIENCY`).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from podium.explore import nearest, univariate
from podium.scoring.task import Task

NEIGHBORS, SHARPNESS = 40, 10.0  # weight of a neighbor: exp(SHARPNESS * similarity)
STRENGTH, MAX_ITERATIONS = 5.0, 300  # of logistic regression on features of length 1
LINEAR_SHARE = 0.7  # weight of the classifier in the geometric mean
LENIENCY = 0.8  # 0: all classes alike; 1: in full for those that are hard to tell
MAX_FITTED = 10_000  # images
MAX_CLASSES = 300  # with more, the classifier takes too long: neighbors decide alone
BLOCK, CELLS = 4096, 2**22  # images, and their probabilities, in memory at once
MAX_SCORE = 0.22  # of a listed image
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
    """The images whose labels are likely wrong, likeliest first."""

    found: list[Issue]
    suspicious: int  # how many there are, of which only the likeliest are in `found`
    neighbors: list[list[int]]  # the rows of the nearest images of each one, the nearest first


def has_classifier(task: Task) -> bool:
    """Whether a classifier judges labels, too, not neighbors alone."""
    return task.name == "multilabel" or len(task.classes) <= MAX_CLASSES


def find(
    features: np.ndarray,
    task: Task,
    labels: list[str],
    folds: np.ndarray,
    rng: np.random.Generator,
    judged: np.ndarray,
) -> Issues:
    """Find labels that are likely wrong.

    Args:
        features: of the training images, float32 [N, D], of length 1.
        labels: as our tables have them, [N].
        folds: the classifier that judges an image is fitted to the other folds, [N].
        judged: the rows whose labels are judged, ascending, [J].
    """
    near = nearest.search(features[judged], features, NEIGHBORS, own=judged)
    targets = task.targets(labels)
    judge = _Judge(features, folds, near, rng, judged)
    if not near.rows.shape[1] or len(np.unique(folds)) < 2:
        return Issues([], 0, [])
    if task.name == "regression":
        found = _outliers(judge, targets)
    elif task.name == "multilabel":
        found = _wrong_labels(judge, targets, task.classes)
    else:
        scores, best = judge.scores(targets, len(task.classes))
        alike = (targets[near.rows] == targets[judged, None]).sum(axis=1)
        found = [
            Issue(int(judged[n]), float(scores[n]), task.classes[best[n]], int(alike[n]))
            for n in np.flatnonzero((best != targets[judged]) & (scores < MAX_SCORE))
        ]
    found = sorted(found, key=lambda issue: (issue.score, issue.row))
    suspicious = len(found)
    found = found[: max(1, round(MAX_SHARE * len(judged)))]
    places = np.searchsorted(judged, [issue.row for issue in found])
    return Issues(found, suspicious, near.rows[places].tolist())


class _Judge:
    """What neighbors and a classifier think of the targets of the `judged` rows, [J]."""

    def __init__(
        self,
        features: np.ndarray,
        folds: np.ndarray,
        near: nearest.Nearest,
        rng: np.random.Generator,
        judged: np.ndarray,
    ) -> None:
        self.judged = judged
        self.features, self.folds, self.rows = features, folds, near.rows
        weights = np.exp(SHARPNESS * near.similarity.astype(np.float64))
        self.weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        self.rng = rng

    def scores(self, targets: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The score of each judged image's class [J], and its likeliest class [J].

        The score is the probability of the class, divided by the highest one, and by how probable
        the class is on average where it is given, relative to the other classes.
        """
        given = targets[self.judged]
        own, top = np.zeros(len(given)), np.ones(len(given))
        best = np.zeros(len(given), int)
        for rows, probabilities in self._probabilities(targets, count):
            own[rows] = probabilities[np.arange(len(rows)), given[rows]]
            best[rows] = probabilities.argmax(axis=1)
            top[rows] = probabilities.max(axis=1)
        sizes = np.maximum(1, np.bincount(given, minlength=count))
        usual = np.bincount(given, weights=own, minlength=count) / sizes
        usual = LENIENCY * usual + (1 - LENIENCY) * own.mean()
        scores: np.ndarray = own / top * own.mean() / np.maximum(usual, FLOOR)[given]
        return scores, best

    def predicted_numbers(self, targets: np.ndarray) -> np.ndarray:
        """What neighbors and ridge regression say of standardized numbers: [J, C]."""
        predicted = np.einsum("nk,nkc->nc", self.weights, targets[self.rows])
        for train, own in self._splits():
            model = Ridge(alpha=1.0).fit(self.features[train], targets[train])
            linear = model.predict(self.features[self.judged[own]]).reshape(len(own), -1)
            predicted[own] = (predicted[own] + linear) / 2
        return predicted

    def _splits(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows to fit to, and the places of others among the judged ones."""
        for fold in np.unique(self.folds[self.judged]):
            train = univariate.sample(np.flatnonzero(self.folds != fold), MAX_FITTED, self.rng)
            yield train, np.flatnonzero(self.folds[self.judged] == fold)

    def _probabilities(
        self, targets: np.ndarray, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places among the judged rows, and the probabilities of their classes: [n, C]."""
        prior = np.bincount(targets, minlength=count) / len(targets)
        neighbors = self.rows.shape[1]
        for train, own in self._splits():
            present = np.unique(targets[train])
            model = None
            if len(present) > 1 and count <= MAX_CLASSES:
                model = LogisticRegression(C=STRENGTH, max_iter=MAX_ITERATIONS)
                model.fit(self.features[train], targets[train])
            block = max(1, min(BLOCK, CELLS // count))
            for rows in np.array_split(own, max(1, -(-len(own) // block))):
                cells = np.arange(len(rows))[:, None] * count + targets[self.rows[rows]]
                weights = self.weights[rows].ravel()
                votes = np.bincount(cells.ravel(), weights, len(rows) * count)
                votes = votes.reshape(len(rows), count)
                smooth = (neighbors * votes + prior) / (neighbors + 1)
                if model is None:
                    yield rows, smooth
                    continue
                linear = np.full((len(rows), count), FLOOR)
                linear[:, present] += model.predict_proba(self.features[self.judged[rows]])
                both = linear**LINEAR_SHARE * np.maximum(smooth, FLOOR) ** (1 - LINEAR_SHARE)
                yield rows, both / both.sum(axis=1, keepdims=True)


def _wrong_labels(judge: _Judge, targets: np.ndarray, classes: list[str]) -> list[Issue]:
    """One per image: its label that is most likely wrong."""
    worst = np.full(len(judge.judged), np.inf)
    label = np.zeros(len(judge.judged), int)
    common = np.argsort(-targets.sum(axis=0), kind="stable")[:MAX_LABELS]
    for index in common:
        column = (targets[:, index] > 0).astype(int)
        if column.min() == column.max():
            continue
        scores, best = judge.scores(column, 2)
        scores = np.where(best != column[judge.judged], scores, np.inf)
        label[scores < worst] = index
        worst = np.minimum(worst, scores)
    found = []
    for n in np.flatnonzero(worst < MAX_SCORE):
        row, index = int(judge.judged[n]), int(label[n])
        has = targets[row, index] > 0
        same = int(((targets[judge.rows[n], index] > 0) == has).sum())
        text = f"without {classes[index]}" if has else f"with {classes[index]}"
        found.append(Issue(row, float(worst[n]), text, same))
    return found


def _outliers(judge: _Judge, targets: np.ndarray) -> list[Issue]:
    """Find targets far from the predictions of neighbors and a linear model."""
    std = targets.std(axis=0)
    scaled = (targets - targets.mean(axis=0)) / np.where(std > 0, std, 1)
    predicted = judge.predicted_numbers(scaled.astype(np.float64))
    residuals = np.abs(scaled[judge.judged] - predicted)
    usual = np.maximum(1.4826 * np.median(residuals, axis=0), 1e-9)
    deviation = (residuals / usual).max(axis=1)
    value = predicted * np.where(std > 0, std, 1) + targets.mean(axis=0)
    found = []
    for n in np.flatnonzero(deviation > OUTLIER):
        text = ", ".join(f"{v:.0f}" if abs(v) >= 1000 else f"{v:.4g}" for v in value[n])
        found.append(Issue(int(judge.judged[n]), float(OUTLIER / deviation[n]), text, 0))
    return found
