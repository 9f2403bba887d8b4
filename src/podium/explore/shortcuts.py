"""What reveals the label without looking at what the image shows: files, names, one region."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from podium.explore import alone
from podium.explore.looks import CELLS, STATISTICS

MAX_LABELS = 30  # the most frequent
MIN_IMAGES = 10  # with a label, and without it
REVEALS = 0.75  # lower bound of the AUC of a fact about the file or its name
# Fine textures take more bytes, so the sizes of files follow from what they show, to some degree.
BYTES, BYTES_REVEAL = ("file size", "bytes per pixel"), 0.9
CORNER, OVER_MIRRORS = 0.7, 0.2  # lower bound of the AUC of a region, and its lead over its mirrors
CENTER, OVER_MEDIAN = 0.85, 0.3  # the same of a region whose mirrors may have it, too
SHARE_OF_LABELS = 3  # with more than a third of the labels, objects are at the same place
TIE = 0.01  # between the AUC of both labels of a binary task
MIN_SIDE = 32  # pixels: the smallest images with regions


class Shortcut(NamedTuple):
    """A feature that predicts a label."""

    feature: str
    label: str
    auc: float
    is_found: bool  # whether it is one to worry about
    cell: tuple[int, int] | None = None  # of the region: row and column of CELLS


class Labels(NamedTuple):
    """One-vs-rest labels."""

    names: list[str]
    values: np.ndarray  # 0 and 1, [N, C]

    def frequent(self) -> "Labels":
        """The most frequent labels, without the rare ones."""
        positives = self.values.sum(axis=0)
        enough = np.minimum(positives, len(self.values) - positives) >= MIN_IMAGES
        order = np.argsort(-positives, kind="stable")
        kept = [int(c) for c in order if enough[c]][:MAX_LABELS]
        return Labels([self.names[c] for c in kept], self.values[:, kept])


def of_facts(
    facts: dict[str, np.ndarray], labels: Labels, folds: np.ndarray, *, content: Sequence[str] = ()
) -> list[Shortcut]:
    """The label that each fact (name -> [N]) predicts best, the best first. Facts in `content` are
    about what the image shows, so they are no shortcuts.
    """
    result = []
    if not labels.names:
        return []
    for name, values in facts.items():
        binned = alone.bins(values)
        if binned.max() == binned.min():
            continue
        areas = alone.auc(binned, labels.values, folds)
        bounds = alone.lower_bound(areas, labels.values.sum(axis=0), len(values))
        best = int(np.nanargmax(areas))
        limit = BYTES_REVEAL if name in BYTES else REVEALS
        is_found = bool(bounds[best] >= limit) and name not in content
        result.append(Shortcut(name, labels.names[best], float(areas[best]), is_found))
    return sorted(result, key=lambda found: -found.auc)


def of_regions(cells: np.ndarray, labels: Labels, folds: np.ndarray) -> list[Shortcut]:
    """The regions that reveal a label, such as a watermark: at most one per label. Cells have much
    higher AUC than the same cells of the mirrored image, or than most cells.

    Args:
        cells: as `Looks.cells`, [N, CELLS, CELLS, S].
    """
    if not labels.names:
        return []
    areas = np.stack(
        [
            alone.auc(alone.bins(cells[:, row, column, statistic]), labels.values, folds)
            for statistic in range(len(STATISTICS))
            for row in range(CELLS)
            for column in range(CELLS)
        ]
    ).T.reshape(len(labels.names), len(STATISTICS), CELLS, CELLS)
    positives = labels.values.sum(axis=0)[:, None, None, None]
    bounds = alone.lower_bound(areas, positives, len(cells))
    mirrors = np.max([areas[..., ::-1], areas[..., ::-1, :], areas[..., ::-1, ::-1]], axis=0)
    median = np.median(areas, axis=(2, 3), keepdims=True)
    found = (bounds >= CORNER) & (areas - mirrors >= OVER_MIRRORS)
    found |= (bounds >= CENTER) & (areas - median >= OVER_MEDIAN)
    found &= areas >= areas.max(axis=0) - TIE  # without it, other labels are likelier
    result = []
    for index, name in enumerate(labels.names):
        if found[index].any():
            masked = np.where(found[index], areas[index], -1)
            statistic, row, column = map(int, np.unravel_index(masked.argmax(), masked.shape))
            feature = f"{STATISTICS[statistic]} {place(row, column)}"
            area = float(masked.max())
            result.append(Shortcut(feature, name, area, True, (row, column)))
    several = 2 if len(labels.names) == 2 else max(1, len(labels.names) // SHARE_OF_LABELS)
    return [] if len(result) > several else sorted(result, key=lambda found: -found.auc)


def place(row: int, column: int) -> str:
    """Words for a cell."""
    third = ((0, 3), (3, 5), (5, CELLS))
    vertical = next(n for n, (a, b) in enumerate(third) if a <= row < b)
    horizontal = next(n for n, (a, b) in enumerate(third) if a <= column < b)
    words = [("top", "", "bottom")[vertical], ("left", "", "right")[horizontal]]
    text = " ".join(word for word in words if word)
    return f"at the {text}" if text else "in the center"
