"""Measure each image in one pass: size, thumbnails and simple statistics."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from podium.core import console, machine, signals
from podium.images import channels, resizing
from podium.images.store import ImageSource

SIDE = 128  # pixels: images are squashed to a square of this side
CELLS = 8  # per axis
THUMB = 32  # pixels
BATCH = 512  # images between two checks for signals
WHITE, BLACK = 235, 20  # gray levels
STATISTICS = ("brightness", "contrast", "edges", "saturation", "near-white", "near-black")


class ImageStats(NamedTuple):
    """Measurements of N images, in the order of their ids."""

    sizes: np.ndarray  # int32 [N, 2]: height and width as stored
    thumbs: np.ndarray  # uint8 [N, THUMB, THUMB], gray
    colors: np.ndarray  # uint8 [N, 8, 8, 3]
    cells: np.ndarray  # float16 [N, CELLS, CELLS, STATISTICS]
    gray: np.ndarray  # bool [N]: all three channels are equal

    @classmethod
    def empty(cls, count: int) -> "ImageStats":
        """Allocate arrays for `count` images."""
        return cls(
            np.zeros((count, 2), np.int32),
            np.zeros((count, THUMB, THUMB), np.uint8),
            np.zeros((count, 8, 8, 3), np.uint8),
            np.zeros((count, CELLS, CELLS, len(STATISTICS)), np.float16),
            np.zeros(count, bool),
        )

    def select(self, rows: np.ndarray) -> "ImageStats":
        """Select rows."""
        return ImageStats(*(values[rows] for values in self))

    def statistic(self, name: str) -> np.ndarray:
        """The mean of a statistic over each image, [N]."""
        values = self.cells[..., STATISTICS.index(name)].astype(np.float32)
        mean: np.ndarray = values.mean(axis=(1, 2))
        return mean


class Recorder:
    """An `ImageSource` that measures each image that it decodes."""

    def __init__(self, store: ImageSource, ids: Sequence[str]) -> None:
        """Record the images `ids` of `store`."""
        self.folder: Path = store.folder
        self.stats = ImageStats.empty(len(ids))
        self._store, self._rows = store, {image: row for row, image in enumerate(ids)}

    @property
    def channels(self) -> int:
        """See `ImageSource.channels`."""
        return self._store.channels

    def decode(self, image: str) -> np.ndarray:
        """See `ImageSource.decode`."""
        pixels = self._store.decode(image)
        _measure(pixels, self.stats, self._rows[image])
        return pixels

    def record(self, image: str) -> None:
        """Decode an image only to measure it."""
        self.decode(image)


def measure(store: ImageSource, ids: Sequence[str]) -> ImageStats:
    """Decode and measure the images `ids` in threads.

    Raises:
        UserError: if an image is missing or damaged.
    """
    recorder = Recorder(store, ids)
    with ThreadPoolExecutor(machine.worker_count()) as pool:
        for start in console.bar(range(0, len(ids), BATCH), "images"):
            signals.raise_if_stopped()
            list(pool.map(recorder.record, ids[start : start + BATCH]))
    return recorder.stats


def _measure(pixels: np.ndarray, stats: ImageStats, row: int) -> None:
    """Measure an image, uint8 [H, W, C], as RGB, and write the results to a row of `stats`."""
    stats.sizes[row] = pixels.shape[:2]
    square = resizing.resize(channels.as_rgb(pixels), SIDE, SIDE)
    gray = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    stats.thumbs[row] = cv2.resize(gray, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    stats.colors[row] = cv2.resize(square, (8, 8), interpolation=cv2.INTER_AREA)
    red, green, blue = cv2.split(square)  # NumPy takes 50 times as long along the last axis
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    spread = most - least
    stats.gray[row] = spread.max() <= 2
    level = gray.astype(np.float32)
    edges = np.abs(cv2.Laplacian(level, cv2.CV_32F))
    mean = _per_cell(level)
    square_mean = _per_cell(level * level)
    statistics = (
        mean,
        np.sqrt(np.maximum(square_mean - mean * mean, 0)),
        _per_cell(edges),
        _per_cell(spread.astype(np.float32)),
        _per_cell((gray >= WHITE).astype(np.float32)),
        _per_cell((gray <= BLACK).astype(np.float32)),
    )
    stats.cells[row] = np.stack(statistics, axis=-1)


def _per_cell(values: np.ndarray) -> np.ndarray:
    """Mean per cell: [SIDE, SIDE] -> [CELLS, CELLS]."""
    means: np.ndarray = cv2.resize(values, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return means
