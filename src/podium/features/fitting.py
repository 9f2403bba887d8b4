"""Fit a head to frozen features; its strength is chosen by cross-validation."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from podium.features.linear import Arrays, Head
from podium.scoring.task import Task

MIN_INNER_FOLDS = 2
DEFAULT_INNER_FOLDS = 3
SCALES = tuple(2.0**power for power in range(-3, 6))  # of scores that are not yet logits
PATIENCE = 2  # strengths that are clearly worse, before the stronger ones are skipped
WORSE = 1.02  # times the smallest loss: clearly worse
MIN_SIZE_FOR_THREADS = 20_000_000  # numbers; smaller matrices are slower with several threads
MIN_SPREAD = 1e-6  # of a dimension, relative to the largest


class Blocks(NamedTuple):
    """Concatenated features of several embeddings."""

    sizes: Sequence[int]  # with sum D
    scales: Sequence[float] | None = None  # target standard deviations; None: 1 each


class Fitted(NamedTuple):
    """A fitted head."""

    arrays: Arrays  # with those of `_standardize` and "output": scale and offset of the scores
    strength: float
    loss: float  # in cross-validation among the training images


def fit(
    head: Head,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    blocks: Blocks,
    task: Task,
    folds: np.ndarray,
    strength: float | None = None,
    seed: int,
) -> Fitted:
    """Fit a head to training images.

    Args:
        features: float32 [N, V, D]: each of V views is an example of its own.
        targets: as `Task.targets` returns them.
        blocks: how the D features are divided among embeddings.
        folds: the fold of each training image, [N]: the strength is the best in cross-validation
            over these folds; with a single one, over random parts.
        strength: None: the best of those that the head names.
        seed: of these parts.
    """
    of_targets = task.scale(targets)
    if task.name == "regression":
        targets = of_targets.standardize(targets)
    strengths = head.strengths if strength is None else (strength,)
    inner = _inner_folds(folds, seed)
    with threadpool_limits(1 if features.size < MIN_SIZE_FOR_THREADS else None):
        losses = _cross_validate(
            head, strengths, features, targets, blocks=blocks, task=task, folds=inner
        )
        strength, scale = min(losses, key=losses.__getitem__)
        examples = _Examples.of(head, features, targets, blocks)
        arrays = head.fit(examples.features, examples.targets, task, strength)
    mean, std = (np.array(part) for part in of_targets)
    output = np.array([scale * std, mean], np.float32)  # [2, 1 or C]
    fitted = {**examples.in_all_dimensions(arrays), "output": output}
    return Fitted(fitted, strength, losses[strength, scale])


def predict(head: Head, arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Logits of images, averaged over their views: features [N, V, D] -> float32 [N, C]."""
    scale, offset = arrays["output"]
    scores = _scores(head, arrays, features).mean(axis=1)
    logits: np.ndarray = (scores * scale + offset).astype(np.float32)
    return logits


def join(parts: Sequence[np.ndarray], metadata: np.ndarray | None) -> np.ndarray:
    """Concatenate features [N, V, D] of each embedding and metadata [N, D]: float32 [N, V, D]."""
    if metadata is None:
        return np.concatenate(parts, axis=2)
    views = parts[0].shape[1] if parts else 1
    repeated = np.repeat(metadata[:, None], views, axis=1)
    return np.concatenate([*parts, repeated], axis=2)


def metadata_scale(sizes: Sequence[int], metadata_size: int) -> float:
    """The standard deviation per dimension of metadata with which all of them together have that of
    the other features, whose blocks have these `sizes`.
    """
    return float(np.sqrt(sum(sizes) / max(1, metadata_size)))


def linear_layer(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """The weight [C, D] and bias [C] of the linear layer that gives the logits of a linear head,
    without standardizing the features: float32.
    """
    scale, offset = arrays["output"]
    weight = scale.reshape(-1, 1) * arrays["weight"] * arrays["factor"]
    bias = scale * arrays["bias"] - weight @ arrays["center"] + offset
    return weight.astype(np.float32), bias.astype(np.float32)


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


class _Examples(NamedTuple):
    """Standardized features, each view as an example. For linear heads, and if there are fewer
    examples than features, these are coordinates in a space of as many dimensions as examples.
    """

    features: np.ndarray  # [N * V, D or R]
    targets: np.ndarray
    center: np.ndarray  # [D]
    factor: np.ndarray  # [D]
    basis: np.ndarray | None  # [R, D], orthonormal

    @classmethod
    def of(
        cls, head: Head, features: np.ndarray, targets: np.ndarray, blocks: Blocks
    ) -> "_Examples":
        """The examples of images with features [N, V, D]."""
        flat = features.reshape(-1, features.shape[-1])
        center, factor = _standardize(flat, blocks)
        flat, basis = (flat - center) * factor, None
        if head.is_linear and len(flat) < flat.shape[1]:
            left, spread, right = np.linalg.svd(flat, full_matrices=False)
            rank = max(1, int((spread > MIN_SPREAD * spread[0]).sum()))
            flat, basis = (left * spread)[:, :rank], right[:rank]
        return cls(flat, np.repeat(targets, features.shape[1], axis=0), center, factor, basis)

    def in_all_dimensions(self, arrays: Arrays) -> Arrays:
        """A head of features that are not standardized, from one that was fitted to `features`."""
        if self.basis is not None:
            arrays = {**arrays, "weight": arrays["weight"] @ self.basis}
        return {**arrays, "center": self.center, "factor": self.factor}


def _cross_validate(
    head: Head,
    strengths: Sequence[float],
    features: np.ndarray,
    targets: np.ndarray,
    *,
    blocks: Blocks,
    task: Task,
    folds: np.ndarray,
) -> dict[tuple[float, float], float]:
    """The loss by strength and scale of the scores, of the strengths that were tried in all folds:
    stronger heads take longer, and fit the training images ever more closely.
    """
    is_scaled = not head.are_logits and task.name != "regression"
    losses, tried = defaultdict[tuple[float, float], float](float), len(strengths)
    for fold in np.unique(folds):
        held_out = folds == fold
        examples = _Examples.of(head, features[~held_out], targets[~held_out], blocks)
        heads = head.fit_path(examples.features, examples.targets, task, strengths)
        best, worse, count = np.inf, 0, 0
        for strength, arrays in zip(strengths, heads, strict=True):
            scores = _scores(head, examples.in_all_dimensions(arrays), features[held_out])
            by_scale = {
                scale: _loss(scores.mean(axis=1) * scale, targets[held_out], task)
                for scale in (SCALES if is_scaled else (1.0,))
            }
            for scale, loss in by_scale.items():
                losses[strength, scale] += loss * held_out.mean()
            loss = min(by_scale.values())
            best, worse, count = min(best, loss), worse + 1 if loss > WORSE * best else 0, count + 1
            if worse == PATIENCE:
                break
        tried = min(tried, count)
    return {key: loss for key, loss in losses.items() if key[0] in strengths[:tried]}


def _loss(logits: np.ndarray, targets: np.ndarray, task: Task) -> float:
    """The mean cross-entropy of logits [N, C]; for regression, the mean squared error."""
    if task.name == "regression":
        return float(((logits - targets) ** 2).mean())
    if task.name == "multilabel":
        log_probabilities = targets * log_expit(logits) + (1 - targets) * log_expit(-logits)
        return float(-log_probabilities.mean())
    rows = np.arange(len(targets))
    return float(-log_softmax(logits, axis=1)[rows, targets].mean())


def _standardize(features: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """The center [D] of features [N, D], and the factor [D] that scales the mean variance of each
    block to that of its scale.
    """
    center = features.mean(axis=0)
    parts = np.split(features.var(axis=0), np.cumsum(blocks.sizes)[:-1])
    factors = [
        np.full(len(part), scale / np.sqrt(max(part.mean(), 1e-12)))
        for part, scale in zip(parts, blocks.scales or [1.0] * len(parts), strict=True)
    ]
    return center, np.concatenate(factors).astype(np.float32)


def _scores(head: Head, arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """Scores of each view: features [N, V, D] -> [N, V, C]."""
    flat = features.reshape(-1, features.shape[-1])
    scores = head.scores(arrays, (flat - arrays["center"]) * arrays["factor"])
    return scores.reshape(*features.shape[:2], -1)
