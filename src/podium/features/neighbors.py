"""Nearest neighbors by cosine similarity."""

import numpy as np
from scipy.special import logsumexp

SHARPNESS = 20.0  # of a neighbor's weight: exp(SHARPNESS * cosine similarity)


def unit(features: np.ndarray) -> np.ndarray:
    """Features [..., D] of length 1."""
    lengths = np.linalg.norm(features, axis=-1, keepdims=True)
    scaled: np.ndarray = features / np.maximum(lengths, 1e-12)
    return scaled


def vote(features: np.ndarray, known: np.ndarray, values: np.ndarray, *, count: int) -> np.ndarray:
    """The mean of the values [M, C] of the `count` nearest of the `known` features [M, D], weighted
    by their similarity: [N, C] for `features` [N, D]. All features have length 1.
    """
    similarity = SHARPNESS * (features @ known.T)  # [N, M]
    count = min(count, similarity.shape[1])
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    weights = np.take_along_axis(similarity, nearest, axis=1)
    shares = np.exp(weights - logsumexp(weights, axis=1, keepdims=True))  # [N, count]
    votes: np.ndarray = np.einsum("nk,nkc->nc", shares, values[nearest])
    return votes


def smooth(votes: np.ndarray, *, count: int, prior: float) -> np.ndarray:
    """Probabilities from votes [N, C] that are never 0: as if there were one more neighbor, all of
    whose values are `prior`.
    """
    smoothed: np.ndarray = (count * votes + prior) / (count + 1)
    return smoothed
