"""Tables that contain the pixels of images: their columns and the pixel order."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.dataset.pixel_tables import as_images, square_shape
from podium.init.guesses import Confidence, Guess

MIN_PIXELS = 16  # 4 x 4
PROBED_ROWS = 200
MIN_VALID_FRACTION = 0.98  # share of probed values that are pixels
MAX_ROUGHNESS_RATIO = 0.8  # better pixel order to the other, for confidence "likely"
_NUMBERED = re.compile(r"(.*?)(\d+)")
_ROW_BY_COLUMN = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True)
class Pixels:
    """The columns of a table that contain the pixels of square images."""

    prefix: str  # "pixel" of pixel0, pixel1, …; "" of 1x1, 1x2, …; or the name of a single column
    columns: list[str]
    values: np.ndarray  # uint8 [rows, pixels] of the first rows

    def images(self, order: str = "interleaved") -> np.ndarray:
        """The images [N, side, side] or, if RGB in the pixel order `order`, [N, side, side, 3]."""
        return as_images(self.values, order)


def find_pixels(archive: Archive, name: str, header: list[str]) -> Pixels | None:
    """The pixels of the first rows of a CSV file, if it contains any: one number per column, or all
    of an image in one cell; integers from 0 to 255, not just 0 and 1.

    A small fraction may be invalid: the stage prepare reports those.
    """
    rows = next(archive.csv_chunks(name, PROBED_ROWS), None)
    if rows is None or rows.empty:
        return None
    named = _pixel_columns(header)
    if named is not None:
        prefix, columns = named
        numbers = rows[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    elif (cells := _pixel_cells(rows)) is not None:
        prefix, numbers = cells
        columns = [prefix]
    else:
        return None
    valid = (numbers >= 0) & (numbers <= 255) & (numbers % 1 == 0)
    values = np.where(valid, numbers, 0).astype(np.uint8)
    has_pixels = valid.mean() > MIN_VALID_FRACTION and values.max() > 1
    return Pixels(prefix, columns, values) if has_pixels else None


def guess_pixel_order(pixels: Pixels) -> Guess:
    """The order of RGB values that gives the smoother images."""
    roughness = {}
    for order in ("interleaved", "planar"):
        images = pixels.images(order).astype(np.int16)
        roughness[order] = sum(float(np.abs(np.diff(images, axis=n)).mean()) for n in (1, 2))
    best, other = sorted(roughness, key=roughness.__getitem__)
    is_clear = roughness[best] < MAX_ROUGHNESS_RATIO * roughness[other]
    confidence: Confidence = "likely" if is_clear else "guess"
    reason = (
        f"gives smoother images: neighboring pixels differ by {roughness[best]:.0f} on average "
        f"({other}: {roughness[other]:.0f})"
    )
    return Guess("prepare.pixel_order", best, confidence, reason, (other,))


def is_grayscale(pixels: Pixels, order: str) -> bool:
    """Whether R, G and B are equal in all probed rows."""
    images = pixels.images(order)
    return images.ndim == 3 or bool((np.ptp(images, axis=3) == 0).all())


def _pixel_columns(header: list[str]) -> tuple[str, list[str]] | None:
    """The prefix and names of columns that, by their names, are the pixels of a square image."""
    groups: dict[str, list[tuple[int | None, str]]] = {}
    for column in header:
        if _ROW_BY_COLUMN.fullmatch(column):
            groups.setdefault("", []).append((None, column))
        elif match := _NUMBERED.fullmatch(column):
            groups.setdefault(match[1], []).append((int(match[2]), column))
    for prefix, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        count, numbers = len(group), {number for number, _ in group if number is not None}
        is_complete = not numbers or max(numbers) - min(numbers) == len(numbers) - 1 == count - 1
        if _is_square(count) and is_complete:
            return prefix, sorted((column for _, column in group), key=_numbers)  # as prepare
    return None


def _numbers(column: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", column)][-2:]


def _is_square(count: int) -> bool:
    """Whether a square image, grayscale or RGB, can have so many values."""
    return count >= MIN_PIXELS and square_shape(count) is not None


def _pixel_cells(rows: pd.DataFrame) -> tuple[str, np.ndarray] | None:
    """The column whose cells contain whole images, and their values: [rows, pixels]."""
    for column in rows.columns:
        cells = [str(cell).split() for cell in rows[column]]
        (count, frequency), *_ = Counter(map(len, cells)).most_common(1)
        if _is_square(count) and frequency > MIN_VALID_FRACTION * len(cells):
            table = pd.DataFrame([cell for cell in cells if len(cell) == count])
            numbers = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
            if np.isfinite(numbers).mean() > MIN_VALID_FRACTION:  # not captions of as many words
                return column, numbers
    return None
