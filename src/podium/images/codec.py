"""Decoding any image file to RGB pixels, and encoding pixels again."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from podium.images import resizing

JPEG_END = b"\xff\xd9"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}

# What Pillow's decoders raise for damaged files; the second line is what changing bytes of files of
# each kind by chance has shown, and what is of its kind.
DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, AssertionError,
                  TypeError, LookupError, ArithmeticError, RuntimeError, zlib.error)  # fmt: skip
BLACK_SIZE = 64  # pixels
MAX_SIDE = {"jpeg": 65_500, "png": 1_000_000}  # pixels that OpenCV encodes and decodes


class ImageError(ValueError):
    """An image that cannot be decoded; the message says why."""


def decode(data: bytes, *, enough: int | None = None) -> np.ndarray:
    """Decode an image file's first frame: uint8 [H, W, 3], RGB, upright. A JPEG file may come at a
    half, a quarter or an eighth of its size, if its shorter side then still has `enough` pixels.

    Animated images give their first frame, however many follow. Images of up to twice Pillow's
    `MAX_IMAGE_PIXELS` (179 megapixels) are decoded, of more refused.

    Grey images get three equal channels, 16-bit ones are scaled to 8, transparent pixels are laid
    on white, CMYK and palettes are converted, and the EXIF orientation is applied.

    Raises:
        ImageError: if the data is no image, an incomplete one, or too large to be one.
    """
    with _quiet():
        return _decode(data, enough)[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of images of half the size that it refuses, and of damaged descriptions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decode(data: bytes, enough: int | None) -> tuple[np.ndarray, Image.Image]:
    """The pixels, and the image as Pillow has opened it."""
    try:
        image = _open(data)
        _check_sides(image.size, MAX_SIDE["png"])
        if image.format == "JPEG" and image.mode in ("RGB", "L") and data.endswith(JPEG_END):
            return _decode_jpeg(data, min(image.size) // enough if enough else 1), image
        return _to_rgb(_upright(image)), image
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"too large: {error}") from None
    except UnidentifiedImageError:
        raise ImageError("not an image" if data else "an empty file") from None
    except DECODER_ERRORS as error:
        raise ImageError(str(error) or type(error).__name__) from None


def _decode_jpeg(data: bytes, most: int) -> np.ndarray:
    """At the smallest size that is at least 1 / `most` of its own: skips most of the work."""
    for factor, flag in REDUCED.items():
        if factor <= most:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
            if pixels is None:
                break
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return decode_stored(data)


def decode_stored(data: bytes | memoryview) -> np.ndarray:
    """Decode a JPEG or PNG file of 8 bits, faster: uint8 [H, W, 3], RGB, upright.

    Raises:
        ImageError: if OpenCV cannot decode it.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise ImageError("not an image that OpenCV can decode")
    return pixels


def reencode(data: bytes, *, max_size: int | None, encode: str, quality: int) -> bytes:
    """Check that an image can be decoded, and give the bytes to store for it.

    `encode="original"`: the bytes as they are. Otherwise `decode_stored` reads the result: the
    bytes as they are where it can and the shorter side has at most `max_size` pixels, else the
    downsized image as a JPEG or PNG file.

    Raises:
        ImageError: if it cannot be decoded.
    """
    with _quiet():
        return _reencode(data, max_size, encode, quality)


def _reencode(data: bytes, max_size: int | None, encode: str, quality: int) -> bytes:
    pixels, image = _decode(data, None if encode == "original" else max_size)
    if encode == "original":
        return data
    width, height = image.size if _orientation(image) < 5 else image.size[::-1]
    small = resizing.downsize(pixels, max_size, of=(height, width))
    if small.shape[:2] == (height, width) and _is_plain(data, image):
        return data
    _check_sides(small.shape[:2], MAX_SIDE[encode])
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if encode == "jpeg" else []
    suffix = ".jpg" if encode == "jpeg" else ".png"
    encoded, buffer = cv2.imencode(suffix, cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    assert encoded
    return buffer.tobytes()


def _check_sides(sides: tuple[int, ...], most: int) -> None:
    if max(sides) > most:
        raise ImageError(f"too large: a side of {max(sides):,} pixels; the most is {most:,}")


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of pixels: uint8 [H, W, 3], RGB, or [H, W], grey."""
    colored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded, buffer = cv2.imencode(".png", colored)
    assert encoded
    return buffer.tobytes()


def black_png(size: int | None) -> bytes:
    """A PNG file of a black square, `size` pixels wide or `BLACK_SIZE`."""
    return encode_png(np.zeros((size or BLACK_SIZE, size or BLACK_SIZE), np.uint8))


def _open(data: bytes) -> Image.Image:
    """The image with its header read and, of a PNG file, the checksums verified: Pillow decodes
    without them, OpenCV does not.
    """
    image = Image.open(io.BytesIO(data))
    if image.format != "PNG":
        return image
    image.verify()  # which also closes it
    return Image.open(io.BytesIO(data))


def _is_plain(data: bytes, image: Image.Image) -> bool:
    """Whether `decode_stored` gives what `decode` gives."""
    upright = _orientation(image) == 1
    end = {"JPEG": JPEG_END, "PNG": PNG_END}.get(image.format or "")
    complete = end is not None and data.endswith(end)
    transparent = "transparency" in image.info
    return complete and upright and not transparent and image.mode in ("RGB", "L")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except DECODER_ERRORS:
        return 1  # damaged EXIF data: the pixels are fine


def _upright(image: Image.Image) -> Image.Image:
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip
        grey = np.clip(np.round(np.asarray(image) / 257), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("32-bit floating-point pixels have no defined range: convert them first")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))
