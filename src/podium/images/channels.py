"""The channels of images: convert what was decoded to the number of channels that a store has."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from podium.images.decoded import Decoded, ImageError, scale_to_uint8

PARTIAL_ALPHA = 0.5  # of an alpha channel's values, at most, are neither 0 nor the maximum


class UnscaledError(Exception):
    """An image has more than 8 bits per channel, and no range was given to scale it from."""

    def __init__(self, value_range: tuple[float, float]) -> None:
        """`value_range` is that of the image's own pixels."""
        super().__init__(value_range)
        self.value_range = value_range


def convert(
    decoded: Decoded, channels: int, value_range: Sequence[float] | None, is_detected: bool = False
) -> np.ndarray:
    """Convert decoded pixels to uint8 [H, W, `channels`]: 1 is grayscale and 3 is RGB, to which
    images with 1, 3 or 4 channels are converted. Other numbers of channels are kept.

    Raises:
        ImageError: if the image has another number of channels.
        UnscaledError: if it has more than 8 bits per channel and there is no `value_range`.
    """
    pixels = decoded.pixels
    if decoded.to_uint8 is not None:
        pixels = decoded.to_uint8(None if is_detected else value_range)
    if channels == 3:
        return _to_rgb(pixels, value_range)
    if channels == 1:
        rgb = _to_rgb(pixels, value_range)
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))[..., None]
    if count(pixels) != channels:
        raise ImageError(f"has {count(pixels)} channels, but prepare.channels is {channels}")
    return _to_uint8(pixels, value_range)


def count(pixels: np.ndarray) -> int:
    """The number of channels of [H, W] or [H, W, C]."""
    return 1 if pixels.ndim == 2 else int(pixels.shape[2])


def without_alpha(pixels: np.ndarray) -> int:
    """The number of channels, without the fourth if it looks like alpha: most of its values are 0
    or the maximum.
    """
    channels = count(pixels)
    if channels != 4:
        return channels
    alpha = pixels[..., 3]
    partial = (alpha > 0) & (alpha < _opaque(pixels))
    return 3 if partial.mean() <= PARTIAL_ALPHA else 4


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C] as RGB [H, W, 3], to look at: the first three channels, or the mean of fewer
    as gray.
    """
    if pixels.shape[2] >= 3:
        return np.ascontiguousarray(pixels[..., :3])
    gray = pixels[..., 0] if pixels.shape[2] == 1 else pixels.mean(axis=2).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def to_planes(pixels: np.ndarray) -> np.ndarray:
    """[H, W, C] as one grayscale image [C * H, W]: the channels below each other."""
    return pixels.transpose(2, 0, 1).reshape(-1, pixels.shape[1])


def from_planes(planes: np.ndarray, channels: int) -> np.ndarray:
    """The inverse of `to_planes`: [H, W, `channels`].

    Raises:
        ImageError: if these are not planes of so many channels.
    """
    if planes.ndim != 2 or len(planes) % channels:
        raise ImageError(f"not the planes of {channels} channels: {planes.shape}")
    shape = len(planes) // channels, planes.shape[1], channels
    return np.asarray(cv2.merge(np.split(planes, channels))).reshape(shape)  # also of one channel


def _to_rgb(pixels: np.ndarray, value_range: Sequence[float] | None) -> np.ndarray:
    """Pixels as uint8 [H, W, 3] without transparency."""
    channels = count(pixels)
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ImageError(
            f"the pixels have shape {pixels.shape}: {channels} channels are not supported as RGB. "
            f"Set prepare.channels: {channels} to keep them"
        )
    if channels == 1:
        scaled = _to_uint8(pixels, value_range)
        return np.repeat(scaled.reshape(*scaled.shape[:2], 1), 3, axis=2)
    if channels == 3:
        return _to_uint8(pixels, value_range)
    alpha = _to_uint8(pixels[..., 3], (0, _opaque(pixels)))
    rgba = np.dstack([_to_uint8(pixels[..., :3], value_range), alpha])
    image = Image.fromarray(rgba)
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def _opaque(pixels: np.ndarray) -> float:
    return np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1.0


def _to_uint8(pixels: np.ndarray, value_range: Sequence[float] | None) -> np.ndarray:
    """Scale values linearly from `value_range` to 0..255 and clip them; NaN becomes 0."""
    if pixels.dtype == np.uint8:
        return pixels
    if value_range is None:
        finite = pixels[np.isfinite(pixels)]
        if finite.size == 0:
            raise ImageError("no pixel has a finite value")
        raise UnscaledError((float(finite.min()), float(finite.max())))
    return scale_to_uint8(pixels, value_range)
