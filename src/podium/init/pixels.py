"""Tables that contain the pixels of images: their columns and the pixel order."""

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.init.guesses import Confidence, Guess

MIN_PIXELS = 16  # 4 x 4
PROBED_ROWS = 200
MIN_VALID_FRACTION = 0.98  # of the probed values
MAX_ROUGHNESS_RATIO = 0.8  # of the better pixel order to the other, if the guess is likely
_NUMBERED = re.compile(r"(.*?)(\d+)")
_ROW_BY_COLUMN = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True)
class Pixels:
    """The columns of a table that contain the pixels of square images."""

    prefix: str  # "pixel" of pixel0, pixel1, …; "" of 1x1, 1x2, …; or the name of a single column
    columns: list[str]
    values: np.ndarray  # uint8 [rows, pixels] of the first rows

    @property
    def channels(self) -> int:
        """1 (grayscale) or 3 (RGB)."""
        count = self.values.shape[1]
        return 1 if math.isqrt(count) ** 2 == count else 3

    @property
    def side(self) -> int:
        """Width and height in pixels."""
        return math.isqrt(self.values.shape[1] // self.channels)


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
    roughness = {
        order: sum(float(np.abs(np.diff(images, axis=axis)).mean()) for axis in (1, 2))
        for order, images in _images(pixels).items()
    }
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
    return pixels.channels == 1 or bool((np.ptp(_images(pixels)[order], axis=3) == 0).all())


def _images(pixels: Pixels) -> dict[str, np.ndarray]:
    """RGB images by pixel order: int16 [N, H, W, 3]."""
    side, values = pixels.side, pixels.values.astype(np.int16)
    return {
        "interleaved": values.reshape(-1, side, side, 3),
        "planar": values.reshape(-1, 3, side, side).transpose(0, 2, 3, 1),
    }


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
    square = any(math.isqrt(n) ** 2 * (count // n) == count for n in (count, count // 3 or 1))
    return count >= MIN_PIXELS and square


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
