"""Resize images: to a maximum size for storing, to a square for the network."""

import cv2
import numpy as np

MAX_CV2_CHANNELS = 4  # that OpenCV resizes at a time
MAX_CROP_ASPECT = 16  # longer strips are cut before the center crop


def downsize(
    pixels: np.ndarray, max_size: int | None, *, of: tuple[int, int] | None = None
) -> np.ndarray:
    """Downsize [H, W, C] or [H, W] so that the shorter side has at most `max_size` pixels. For an
    image decoded at a fraction of its size, `of` is the full height and width, which determine the
    result's.
    """
    height, width = of or pixels.shape[:2]
    if max_size is None or min(height, width) <= max_size:
        return pixels
    scale = max_size / min(height, width)
    return resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def resize_square(pixels: np.ndarray, size: int, how: str) -> np.ndarray:
    """Make an image square: uint8 [H, W, C] -> [size, size, C].

    `squash` changes the aspect ratio, `crop` keeps the center, `pad` adds black borders.
    """
    height, width = pixels.shape[:2]
    if how == "squash":
        return resize(pixels, size, size)
    if how == "crop" and max(height, width) > MAX_CROP_ASPECT * min(height, width):
        longest = MAX_CROP_ASPECT * min(height, width)  # all of a strip would be enlarged
        top, left = (max(0, side - longest) // 2 for side in (height, width))
        pixels = pixels[top : top + longest, left : left + longest]
        height, width = pixels.shape[:2]
    scale = size / (min(height, width) if how == "crop" else max(height, width))
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    pixels = resize(pixels, height, width)
    if how == "crop":
        top, left = (height - size) // 2, (width - size) // 2
        return pixels[top : top + size, left : left + size]
    square = np.zeros((size, size, pixels.shape[2]), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize [H, W, C] or [H, W] to height and width: area interpolation for an axis that shrinks,
    else bilinear. All images are resized by this function, for training as for inference.
    """
    if pixels.ndim == 3 and pixels.shape[2] > MAX_CV2_CHANNELS:
        starts = range(0, pixels.shape[2], MAX_CV2_CHANNELS)
        parts = [pixels[..., start : start + MAX_CV2_CHANNELS] for start in starts]
        resized = [resize(np.ascontiguousarray(part), height, width) for part in parts]
        return np.concatenate(resized, axis=2)
    shape = height, width, *pixels.shape[2:]
    # INTER_AREA is bilinear on both axes if one of them grows: shrink the other one first.
    smaller = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    if smaller != pixels.shape[:2]:
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels.reshape(shape)  # OpenCV drops a single channel
