"""Infer the shape of images that are stored as rows of numbers."""

import math
from collections import defaultdict

import numpy as np

MIN_PIXELS = 64
MAX_PARTS = 16  # files whose rows are used
MAX_ASPECT = 4  # longer to shorter side of an image that is not square


class Shapes:
    """Collects rows of numbers of a competition and infers their shape as images.

    Images are square, grayscale or RGB ([H, W, 3] or [3, H, W], whichever is smoother), or else
    grayscale with the sides that give the smoothest images, i.e. the smallest differences between
    neighboring rows of pixels. Images with the same number of values have the same shape.
    """

    def __init__(self) -> None:
        self._rows = defaultdict[int, list[np.ndarray]](list)
        self._shapes: dict[int, tuple[int, ...]] = {}

    def add(self, rows: np.ndarray) -> bool:
        """Add rows [N, count]. Returns whether they can be images."""
        if not _candidates(rows.shape[1]):
            return False
        if len(self._rows[rows.shape[1]]) < MAX_PARTS:
            self._rows[rows.shape[1]].append(np.nan_to_num(rows.astype(np.float32)))
        return True

    def shape(self, count: int) -> tuple[int, ...]:
        """The shape of images with `count` values, once all rows have been added."""
        if count not in self._shapes:
            candidates = _candidates(count)
            if len(candidates) > 1:
                rows = np.concatenate(self._rows[count])
                candidates = [min(candidates, key=lambda shape: _roughness(rows, shape))]
            self._shapes[count] = candidates[0]
        return self._shapes[count]


def _candidates(count: int) -> list[tuple[int, ...]]:
    if count < MIN_PIXELS:
        return []
    side = math.isqrt(count)
    if side * side == count:
        return [(side, side)]
    side = math.isqrt(count // 3)
    if 3 * side * side == count:
        return [(side, side, 3), (3, side, side)]
    low = math.isqrt(count // MAX_ASPECT)
    pairs = [(h, count // h) for h in range(max(1, low), MAX_ASPECT * low + 4) if count % h == 0]
    return [(h, w) for h, w in pairs if max(h, w) <= MAX_ASPECT * min(h, w)]


def _roughness(rows: np.ndarray, shape: tuple[int, ...]) -> float:
    """The mean absolute difference between neighboring rows of pixels."""
    axis = 2 if shape[0] == 3 else 1
    return float(np.abs(np.diff(rows.reshape(-1, *shape), axis=axis)).mean())
