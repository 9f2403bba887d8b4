"""Shortcuts: files, names or one region that predict a label without the image's content."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from podium.explore import univariate
from podium.explore.image_stats import CELLS, STATISTICS

MAX_LABELS = 30  # most frequent ones
MIN_IMAGES = 10  # with a label, and without it
REVEALS = 0.75  # lower bound of the AUC of a fact about the file or its name
# Fine textures take more bytes, so file sizes partly depend on the content.
BYTES, BYTES_REVEAL = ("file size", "bytes per pixel"), 0.9
CORNER, OVER_MIRRORS = 0.7, 0.2  # lower bound of a region's AUC; lead over its mirrors
CENTER, OVER_MEDIAN = 0.85, 0.3  # the same for regions that may be mirrored; lead over the median
SHARE_OF_LABELS = 3  # regions of more than a third of the labels: aligned objects
MIN_SIDE = 32  # pixels: regions of smaller images are not examined


class Shortcut(NamedTuple):
    """A feature that predicts a label."""

    feature: str
    label: str
    auc: float
    is_reported: bool  # whether to report it
    cell: tuple[int, int] | None = None  # row and column of the region


class Labels(NamedTuple):
    """One-vs-rest labels."""

    names: list[str]
    values: np.ndarray  # 0 and 1, [N, C]

    def independent(self, weights: np.ndarray | None) -> tuple[np.ndarray, float]:
        """How many images with each label [C], and images in all, are independent samples."""
        if weights is None:
            weights = np.ones(len(self.values))
        return weights @ self.values, float(weights.sum())

    def frequent(self) -> "Labels":
        """The most frequent labels that are not rare; of two that complement each other, as in a
        binary task, the rarer one.
        """
        positives = self.values.sum(axis=0)
        enough = np.minimum(positives, len(self.values) - positives) >= MIN_IMAGES
        order = np.argsort(-positives, kind="stable")
        kept, seen = list[int](), set[bytes]()
        for c in [int(c) for c in order if enough[c]][:MAX_LABELS][::-1]:
            column = self.values[:, c] > 0
            if (~column).tobytes() not in seen:
                seen.add(column.tobytes())
                kept.insert(0, c)
        return Labels([self.names[c] for c in kept], self.values[:, kept])


def of_facts(
    facts: dict[str, np.ndarray],
    labels: Labels,
    folds: np.ndarray,
    *,
    content: Sequence[str] = (),
    weights: np.ndarray | None = None,
) -> list[Shortcut]:
    """The label that each fact (name -> [N]) predicts best, highest AUC first. Facts in `content`
    describe what the image shows, so they are not shortcuts. `weights` [N]: see
    `univariate.weights`; None: images are independent.
    """
    result = []
    if not labels.names:
        return []
    varying = {name: univariate.bins(values) for name, values in facts.items()}
    varying = {name: binned for name, binned in varying.items() if binned.max() > binned.min()}
    tests = len(varying) * len(labels.names)
    positives, count = labels.independent(weights)
    for name, binned in varying.items():
        areas = univariate.auc(binned, labels.values, folds)
        bounds = univariate.lower_bound(areas, positives, count, tests=tests)
        best = int(np.nanargmax(areas))
        limit = BYTES_REVEAL if name in BYTES else REVEALS
        is_reported = bool(bounds[best] >= limit) and name not in content
        result.append(Shortcut(name, labels.names[best], float(areas[best]), is_reported))
    return sorted(result, key=lambda found: -found.auc)


def of_regions(
    cells: np.ndarray, labels: Labels, folds: np.ndarray, weights: np.ndarray | None = None
) -> list[Shortcut]:
    """Regions that reveal a label, such as a watermark; at most one per label. The AUC of such a
    cell is much higher than that of its mirrored cells or of most cells.

    Args:
        cells: as `ImageStats.cells`, [N, CELLS, CELLS, S].
        weights: as in `of_facts`.
    """
    if not labels.names:
        return []
    areas = np.stack(
        [
            univariate.auc(univariate.bins(cells[:, row, column, statistic]), labels.values, folds)
            for statistic in range(len(STATISTICS))
            for row in range(CELLS)
            for column in range(CELLS)
        ]
    ).T.reshape(len(labels.names), len(STATISTICS), CELLS, CELLS)
    positives, count = labels.independent(weights)
    positives = positives[:, None, None, None]
    bounds = univariate.lower_bound(areas, positives, count, tests=areas.size)
    mirrors = np.max([areas[..., ::-1], areas[..., ::-1, :], areas[..., ::-1, ::-1]], axis=0)
    median = np.median(areas, axis=(2, 3), keepdims=True)
    found = (bounds >= CORNER) & (areas - mirrors >= OVER_MIRRORS)
    found |= (bounds >= CENTER) & (areas - median >= OVER_MEDIAN)
    found &= areas >= areas.max(axis=0)  # otherwise, the cell predicts another label better
    result = []
    for index, name in enumerate(labels.names):
        if found[index].any():
            masked = np.where(found[index], areas[index], -1)
            statistic, row, column = map(int, np.unravel_index(masked.argmax(), masked.shape))
            feature = f"{STATISTICS[statistic]} {place(row, column)}"
            area = float(masked.max())
            result.append(Shortcut(feature, name, area, True, (row, column)))
    several = max(1, len(labels.names) // SHARE_OF_LABELS)
    return [] if len(result) > several else sorted(result, key=lambda found: -found.auc)


def place(row: int, column: int) -> str:
    """Describe the position of a cell."""
    third = ((0, 3), (3, 5), (5, CELLS))
    vertical = next(n for n, (a, b) in enumerate(third) if a <= row < b)
    horizontal = next(n for n, (a, b) in enumerate(third) if a <= column < b)
    words = [("top", "", "bottom")[vertical], ("left", "", "right")[horizontal]]
    text = " ".join(word for word in words if word)
    return f"at the {text}" if text else "in the center"
