"""What image decoders return and raise, and the limits on what they decode."""

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

MAX_SIDE = 1_000_000  # pixels: a limit of OpenCV
MAX_CHANNELS = 32
# What the libraries raise for damaged files, as observed by changing random bytes.
DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, cv2.error, AssertionError),
    *(
        TypeError,
        LookupError,
        ArithmeticError,
        RuntimeError,
        AttributeError,
        zlib.error,
        zipfile.BadZipFile,
    ),
)


class ImageError(ValueError):
    """An image that cannot be decoded; the message says why."""


class Decoded(NamedTuple):
    """The upright pixels of an image file's first frame.

    [H, W] is grayscale, [H, W, 3] is RGB, [H, W, 4] has alpha, unless `prepare.channels` is 4.
    uint8 pixels are used unchanged; any other type is scaled from `prepare.value_range`.
    """

    pixels: np.ndarray
    full_size: tuple[int, int] | None = None
    """Height and width of the image in the file, if it was decoded at a fraction of its size."""
    is_plain: bool = False
    """Whether OpenCV decodes the file to the same pixels, so that it can be stored unchanged."""
    to_uint8: Callable[[Sequence[float] | None], np.ndarray] | None = None
    """For files with display settings: converts pixels to uint8, from a range of values or, without
    one, by these settings."""


def check_sides(sides: tuple[int, ...], limit: int = MAX_SIDE) -> None:
    """Raises: ImageError: if a side is too long for OpenCV."""
    if max(sides) > limit:
        raise ImageError(f"too large: {max(sides):,} pixels wide or high, the maximum is {limit:,}")


def max_pixels() -> float:
    """The maximum number of pixels that `codec` currently allows."""
    return 2 * (Image.MAX_IMAGE_PIXELS or math.inf)  # Pillow refuses twice as many


def check_pixels(sides: tuple[int, ...]) -> None:
    """Raises: DecompressionBombError, as Pillow does, if there are more than `max_pixels`."""
    if math.prod(sides) > max_pixels():
        raise Image.DecompressionBombError(f"{math.prod(sides):,} pixels")


def scale_to_uint8(values: np.ndarray, value_range: Sequence[float]) -> np.ndarray:
    """Scale values linearly from `value_range` to 0..255 and clip them; NaN becomes 0."""
    low, high = map(float, value_range)
    step = (high - low) / 255 or 1.0  # a constant image has no range
    scaled = np.clip(np.round((values - low) / step), 0, 255)
    return np.nan_to_num(scaled).astype(np.uint8)
