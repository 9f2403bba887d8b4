"""Features for nearest neighbors and drift: of a frozen backbone, or simple ones without one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from podium.config.embeddings import Embedding
from podium.core import seeding
from podium.explore import image_stats
from podium.explore.image_stats import ImageStats, Recorder
from podium.features.neighbors import unit
from podium.images.store import ImageSource

SIZE = 256  # principal components of a backbone's features
CHUNK = 4096  # images whose features are in memory before the reduction
ORIENTATIONS = 8


class Described(NamedTuple):
    """Measurements and features of images."""

    stats: ImageStats
    features: np.ndarray  # float32 [N, D], of length 1


def describe(
    store: ImageSource, ids: Sequence[str], backbone: Embedding | None, *, seed: int
) -> Described:
    """Measure the images `ids` and compute their features, in one pass.

    Raises:
        UserError: if an image is missing or damaged, or a batch does not fit the device's memory.
    """
    if backbone is None:
        seen = image_stats.measure(store, ids)
        return Described(seen, simple(seen))
    from podium.features.extract import Extractor

    extractor = Extractor(backbone, seed=seed, channels=store.channels)
    recorder = Recorder(store, ids)
    # In random order, since the projection is fitted to the first images.
    order = seeding.generator(seed, "explore").permutation(len(ids))
    reduced, projection = np.zeros((len(ids), 0), np.float32), None
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        batches = extractor.loader(recorder, [ids[row] for row in rows])
        values = extractor.features(batches, [lambda images: images])[:, 0]
        if projection is None:
            projection = _Projection(values)
            reduced = np.zeros((len(ids), projection.size), np.float32)
        reduced[rows] = projection(values)
    return Described(recorder.stats, unit(reduced))


class _Projection:
    """The principal components of a sample."""

    def __init__(self, sample: np.ndarray) -> None:
        self.mean = sample.mean(axis=0)
        covariance = np.cov(sample - self.mean, rowvar=False).reshape(sample.shape[1], -1)
        _, vectors = np.linalg.eigh(covariance)
        self.size = min(SIZE, sample.shape[1])
        self.vectors = vectors[:, ::-1][:, : self.size].astype(np.float32)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        projected: np.ndarray = (values - self.mean) @ self.vectors
        return projected


def simple(seen: ImageStats) -> np.ndarray:
    """Features without a network: histograms of oriented gradients in 4 x 4 cells, and colors.

    Source: Dalal and Triggs 2005 (HOG), without overlapping blocks.
    """
    starts = range(0, len(seen.thumbs), CHUNK)
    histograms = np.concatenate([_gradients(seen.thumbs[n : n + CHUNK]) for n in starts])
    colors = seen.colors.reshape(len(histograms), -1).astype(np.float32)
    parts = [unit(np.sqrt(histograms)), unit(colors - 128)]
    centered = [part - part.mean(axis=0) for part in parts]
    return unit(np.concatenate(centered, axis=1))


def _gradients(thumbs: np.ndarray) -> np.ndarray:
    """Histograms of the gradients' directions in 4 x 4 cells of gray images: float32 [N, D]."""
    dy, dx = np.gradient(thumbs.astype(np.float32), axis=(1, 2))
    size = np.hypot(dx, dy)
    angle = np.arctan2(dy, dx) % np.pi
    index = np.minimum((angle / np.pi * ORIENTATIONS).astype(int), ORIENTATIONS - 1)
    cell = image_stats.THUMB // 4
    shape = (len(thumbs), 4, cell, 4, cell)
    sums = [(size * (index == o)).reshape(shape).sum(axis=(2, 4)) for o in range(ORIENTATIONS)]
    histograms: np.ndarray = np.stack(sums, axis=-1).reshape(len(thumbs), -1)
    return histograms
