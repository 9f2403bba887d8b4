"""Fit the head of a probe: its strength is chosen by cross-validation among the training images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.model_selection import KFold

from podium.config.probes import Probe
from podium.features.heads import HEADS, SCALES, Arrays, Head
from podium.models import targets as target_codec
from podium.scoring.task import Task

MIN_INNER_FOLDS = 2
DEFAULT_INNER_FOLDS = 3
PATIENCE = 2  # strengths without a smaller loss, before the stronger ones are skipped


class Fitted(NamedTuple):
    """A fitted head."""

    arrays: Arrays  # with those of `_standardize` and "output": scale and offset of the scores
    strength: float
    loss: float  # in cross-validation among the training images


def fit(
    config: Probe,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    sizes: Sequence[int],
    task: Task,
    folds: np.ndarray,
    seed: int,
) -> Fitted:
    """Fit a head to training images.

    Args:
        features: float32 [N, V, D]: each of V views is an example of its own.
        targets: as `Task.targets` returns them.
        sizes: the numbers of features from each embedding, whose sum is D.
        folds: the fold of each training image, [N]: the strength is the best in cross-validation
            over these folds; with a single one, over random parts.
    """
    mean, std = target_codec.scale(task, targets)
    if task.name == "regression":
        targets = (targets - mean) / std
    fitter, inner = _Fitter(HEADS[config.head], task, sizes), _inner_folds(folds, seed)
    losses: dict[tuple[float, float], float] = {}
    best = [np.inf]  # so far, by strength
    for strength in fitter.head.strengths if config.strength is None else (config.strength,):
        by_scale = fitter.cross_validate(features, targets, inner, strength)
        losses |= {(strength, scale): loss for scale, loss in by_scale.items()}
        best.append(min(best[-1], *by_scale.values()))
        if len(best) > PATIENCE + 1 and best[-1] == best[-1 - PATIENCE]:
            break  # stronger heads take longer, and fit the training images ever more closely
    strength, scale = min(losses, key=losses.__getitem__)
    arrays = fitter.fit(features, targets, strength)
    output = np.array([scale * std, mean], np.float32)
    return Fitted({**arrays, "output": output}, strength, losses[strength, scale])


def predict(kind: str, arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Logits of images, averaged over their views: features [N, V, D] -> float32 [N, C]."""
    scale, offset = arrays["output"]
    scores = _scores(HEADS[kind], arrays, features).mean(axis=1)
    logits: np.ndarray = (scores * scale + offset).astype(np.float32)
    return logits


def _inner_folds(folds: np.ndarray, seed: int) -> np.ndarray:
    """The fold of each training image in the cross-validation among them."""
    if len(np.unique(folds)) >= MIN_INNER_FOLDS:
        return folds
    count = min(DEFAULT_INNER_FOLDS, len(folds))
    parts = np.zeros(len(folds), np.int64)
    splits = KFold(count, shuffle=True, random_state=seed).split(folds)
    for index, (_, rows) in enumerate(splits):
        parts[rows] = index
    return parts


class _Fitter(NamedTuple):
    """Fits one kind of head."""

    head: Head
    task: Task
    sizes: Sequence[int]  # the numbers of features from each embedding

    def fit(self, features: np.ndarray, targets: np.ndarray, strength: float) -> Arrays:
        """Fit to standardized features [N, V, D], with each view as an example."""
        flat = features.reshape(-1, features.shape[-1])
        center, factor = _standardize(flat, self.sizes)
        repeated = np.repeat(targets, features.shape[1], axis=0)
        arrays = self.head.fit((flat - center) * factor, repeated, self.task, strength)
        return {**arrays, "center": center, "factor": factor}

    def cross_validate(
        self, features: np.ndarray, targets: np.ndarray, folds: np.ndarray, strength: float
    ) -> dict[float, float]:
        """The loss by the scale of the scores."""
        scores = np.empty((len(features), len(self.task.classes)))
        for fold in np.unique(folds):
            held_out = folds == fold
            arrays = self.fit(features[~held_out], targets[~held_out], strength)
            scores[held_out] = _scores(self.head, arrays, features[held_out]).mean(axis=1)
        is_scaled = not self.head.are_logits and self.task.name != "regression"
        scales = SCALES if is_scaled else (1.0,)
        return {scale: _loss(scores * scale, targets, self.task) for scale in scales}


def _loss(logits: np.ndarray, targets: np.ndarray, task: Task) -> float:
    """The mean cross-entropy of logits [N, C]; for regression, the mean squared error."""
    if task.name == "regression":
        return float(((logits - targets) ** 2).mean())
    if task.name == "multilabel":
        log_probabilities = targets * log_expit(logits) + (1 - targets) * log_expit(-logits)
        return float(-log_probabilities.mean())
    rows = np.arange(len(targets))
    return float(-log_softmax(logits, axis=1)[rows, targets].mean())


def _standardize(features: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The center [D] of features [N, D], and the factor [D] that gives those of each embedding a
    mean variance of 1.
    """
    center = features.mean(axis=0)
    parts = np.split(features.var(axis=0), np.cumsum(sizes)[:-1])
    factors = [np.full(len(part), 1 / np.sqrt(max(part.mean(), 1e-12))) for part in parts]
    return center, np.concatenate(factors).astype(np.float32)


def _scores(head: Head, arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Scores of each view: features [N, V, D] -> [N, V, C]."""
    flat = features.reshape(-1, features.shape[-1])
    scores = head.scores(arrays, (flat - arrays["center"]) * arrays["factor"])
    return scores.reshape(*features.shape[:2], -1)
