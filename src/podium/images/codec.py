"""Decode image files to 8-bit RGB pixels, and encode them for the store."""

import hashlib
import re
import warnings
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from podium.images import decoders, resizing
from podium.images.decoded import (
    DECODER_ERRORS,
    MAX_SIDE,
    Decoded,
    ImageError,
    check_sides,
    scale_to_uint8,
)

BLACK_SIZE = 64  # pixels
MAX_MEGAPIXELS = 300  # by default
POSSIBLE_MEGAPIXELS = 1000  # a limit of OpenCV
MAX_SIDES = {"jpeg": 65_500, "png": MAX_SIDE}  # pixels: limits of OpenCV


class UnscaledError(Exception):
    """An image has more than 8 bits per channel, and no range was given to scale it from."""

    def __init__(self, value_range: tuple[float, float]) -> None:
        """`value_range` is that of the image's own pixels."""
        super().__init__(value_range)
        self.value_range = value_range


def decode(
    data: bytes,
    *,
    value_range: Sequence[float] | None = None,
    is_detected: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """Decode an image file's first frame: uint8 [H, W, 3], RGB, upright.

    Grayscale images get three equal channels, transparent pixels are blended with white, CMYK and
    palettes are converted, and the EXIF orientation is applied. More than 8 bits per channel are
    scaled from `value_range` to 0..255; without one, from the range of this image, which suffices
    for a look at it. A range that `is_detected` is not for files that say how they are to be shown.

    Raises:
        ImageError: if the data is not an image, is incomplete, or has more than `max_megapixels`.
    """
    decoded = _decode(data, None, max_megapixels)
    try:
        return _to_rgb(decoded, value_range, is_detected)
    except UnscaledError as error:
        return _to_rgb(decoded, error.value_range)


def decode_stored(data: bytes | memoryview) -> np.ndarray:
    """Decode an 8-bit JPEG or PNG file fast: uint8 [H, W, 3], RGB, upright.

    Raises:
        ImageError: if OpenCV cannot decode it.
    """
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION  # `decoders` has applied it
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError("not an image that OpenCV can decode")
    return pixels


def reencode(
    data: bytes,
    *,
    max_size: int | None,
    encode: str,
    quality: int,
    value_range: Sequence[float] | None = None,
    is_detected: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[bytes, np.ndarray]:
    """Decode an image; return the bytes to store and the pixels in them: uint8 [H, W, 3], RGB.

    With `encode="original"` the bytes are unchanged. Otherwise `decode_stored` can read them: they
    are unchanged if possible and the shorter side has at most `max_size` pixels; if not, the image
    is scaled to 8 bits, as by `decode`, downsized and encoded as JPEG or PNG.

    Raises:
        ImageError: if it cannot be decoded, or has more than `max_megapixels`.
        UnscaledError: if it has more than 8 bits per channel and there is no `value_range`.
    """
    decoded = _decode(data, None if encode == "original" else max_size, max_megapixels)
    pixels = _to_rgb(decoded, value_range, is_detected)
    if encode == "original":
        return data, pixels
    height, width = decoded.full_size or pixels.shape[:2]
    small = resizing.downsize(pixels, max_size, of=(height, width))
    if decoded.is_plain and small.shape[:2] == (height, width):
        return data, small
    check_sides(small.shape[:2], MAX_SIDES[encode])
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if encode == "jpeg" else []
    return _encode(".jpg" if encode == "jpeg" else ".png", small, options), small


def checksum(pixels: np.ndarray) -> str:
    """A checksum of uint8 pixels and their shape, to find duplicate images."""
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:32]


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels as a PNG file: [H, W, 3], RGB, or [H, W], grayscale."""
    return _encode(".png", pixels, [])


def black_png(size: int | None) -> bytes:
    """Encode a black square of `size` pixels a side, or `BLACK_SIZE`, as a PNG file."""
    return encode_png(np.zeros((size or BLACK_SIZE, size or BLACK_SIZE), np.uint8))


def _encode(suffix: str, pixels: np.ndarray, options: list[int]) -> bytes:
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded, buffer = cv2.imencode(suffix, bgr, options)
    assert encoded
    return buffer.tobytes()


def _decode(data: bytes, min_side: int | None, max_megapixels: float) -> Decoded:
    Image.MAX_IMAGE_PIXELS = round(max_megapixels * 1e6 / 2)  # Pillow refuses twice as many
    try:
        with warnings.catch_warnings():
            # Pillow warns about damaged metadata, and about half the size that it refuses.
            warnings.simplefilter("ignore")
            return decoders.decode(data, min_side)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"[\d,]+ pixels", str(error))
        size = pixels[0] if pixels else str(error)
        raise ImageError(
            f"too large: {size}. Set prepare.max_megapixels to allow more than {max_megapixels:g}"
        ) from None
    except UnidentifiedImageError:
        raise ImageError("not an image" if data else "an empty file") from None
    except DECODER_ERRORS as error:
        raise ImageError(str(error) or type(error).__name__) from None


def _to_rgb(
    decoded: Decoded, value_range: Sequence[float] | None, is_detected: bool = False
) -> np.ndarray:
    """Convert decoded pixels to uint8 [H, W, 3] without transparency."""
    pixels = decoded.pixels
    if decoded.to_uint8 is not None:
        pixels = decoded.to_uint8(None if is_detected else value_range)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ImageError(
            f"the pixels have shape {pixels.shape}: {channels} channels are not supported, only "
            "1 (grayscale), 3 (RGB) and 4 (RGBA)"
        )
    if channels == 1:
        scaled = _to_uint8(pixels, value_range)
        return np.repeat(scaled.reshape(*scaled.shape[:2], 1), 3, axis=2)
    if channels == 3:
        return _to_uint8(pixels, value_range)
    opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1.0
    alpha = _to_uint8(pixels[..., 3], (0, opaque))
    rgba = np.dstack([_to_uint8(pixels[..., :3], value_range), alpha])
    image = Image.fromarray(rgba)
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


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
