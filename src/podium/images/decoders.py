"""Image formats: which files are images, and how each format is decoded."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

MAX_SIDE = 1_000_000  # pixels: a limit of OpenCV
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, 2 to 8 are rotated or mirrored
FLIPPED_AXES = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
TRANSPOSED = range(5, 9)
REDUCED = {n: getattr(cv2, f"IMREAD_REDUCED_COLOR_{n}") for n in (8, 4, 2)}  # decode at 1/n
# What the libraries raise for damaged files, as observed with random changes of bytes.
DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, cv2.error, AssertionError),
    *(TypeError, LookupError, ArithmeticError, RuntimeError, zlib.error),
)


class ImageError(ValueError):
    """An image that cannot be decoded; the message says why."""


class Decoded(NamedTuple):
    """The upright pixels of an image file's first frame.

    [H, W] is grayscale, [H, W, 3] is RGB, [H, W, 4] has alpha. uint8 pixels are used unchanged; any
    other type is scaled from `prepare.value_range`.
    """

    pixels: np.ndarray
    full_size: tuple[int, int] | None = None
    """Height and width of the image in the file, if it was decoded at a fraction of its size."""
    is_plain: bool = False
    """Whether OpenCV decodes the file to the same pixels, so that it can be stored unchanged."""


class Decoder(NamedTuple):
    """One image format."""

    suffixes: tuple[str, ...]
    """Suffixes of image files, in lower case."""
    accepts: Callable[[bytes], bool]
    """Whether a file's content has this format."""
    decode: Callable[[bytes, int | None], Decoded]
    """Decodes a file's content; the shorter side may be reduced to the given number of pixels."""


def decode_jpeg(data: bytes, min_side: int | None = None) -> Decoded:
    """Decode with OpenCV, at 1/2, 1/4 or 1/8 of the size if `min_side` allows it."""
    image = _open(data)
    if image.format != "JPEG" or image.mode not in ("RGB", "L") or not data.endswith(JPEG_END):
        return _decode_opened(image, data)
    factor = min(image.size) // min_side if min_side else 1
    reduced = next((flag for n, flag in REDUCED.items() if n <= factor), None)
    if reduced is None:
        pixels = _by_opencv(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    else:
        pixels = _by_opencv(data, reduced | cv2.IMREAD_IGNORE_ORIENTATION)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    orientation = _orientation(image)
    width, height = image.size if orientation not in TRANSPOSED else image.size[::-1]
    return Decoded(_turn(pixels, orientation), (height, width), is_plain=orientation == 1)


def decode_other(data: bytes, _: int | None = None) -> Decoded:
    """Decode any format that Pillow can open."""
    return _decode_opened(_open(data), data)


DECODERS = {
    "other": Decoder(
        (".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"),
        lambda _: True,
        decode_other,
    ),
    "jpeg": Decoder((".jpg", ".jpeg"), lambda data: data.startswith(JPEG_START), decode_jpeg),
}
"""The image formats. Of those that accept a file, the last one decodes it."""


def suffixes() -> frozenset[str]:
    """The suffixes of image files, in lower case, with the dot."""
    return frozenset(suffix for decoder in DECODERS.values() for suffix in decoder.suffixes)


def decode(data: bytes, min_side: int | None = None) -> Decoded:
    """Decode a file with the decoder for its format.

    Raises:
        Exception: whatever the libraries raise for damaged files; `codec` converts it.
    """
    last_first = reversed(DECODERS.values())
    return next(d for d in last_first if d.accepts(data)).decode(data, min_side)


def check_sides(sides: tuple[int, ...], limit: int = MAX_SIDE) -> None:
    """Raises: ImageError: if a side is too long for OpenCV."""
    if max(sides) > limit:
        raise ImageError(f"too large: {max(sides):,} pixels wide or high, the maximum is {limit:,}")


def _open(data: bytes) -> ImageFile:
    """Open an image with Pillow. Verify a PNG file's checksums, which Pillow ignores when decoding,
    unlike OpenCV.
    """
    image = Image.open(io.BytesIO(data))
    check_sides(image.size)
    if image.format != "PNG":
        return image
    image.verify()  # which also closes it
    return Image.open(io.BytesIO(data))


def _decode_opened(image: ImageFile, data: bytes) -> Decoded:
    """Decode an opened image: with OpenCV if it has more than 8 bits per channel, which Pillow
    drops or clips, else with Pillow.
    """
    is_wide = _is_wide(image)  # before _orientation, which decodes PNG files
    orientation = 1 if image.format == "TIFF" else _orientation(image)  # TIFF: done by the decoder
    if is_wide:
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_ERROR
        )  # no warning per GeoTIFF tag
        pixels = _by_opencv(data, cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3:  # BGR or BGRA
            pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
        return Decoded(_turn(pixels, orientation))
    transparent = image.has_transparency_data
    pixels = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    complete = image.format == "PNG" and data.endswith(PNG_END)
    is_plain = complete and orientation == 1 and not transparent and image.mode in ("RGB", "L")
    return Decoded(_turn(pixels, orientation), is_plain=is_plain)


def _is_wide(image: ImageFile) -> bool:
    """Whether a channel has more than 8 bits."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.mode not in ("RGB", "RGBA", "LA") or not image.tile:
        return False
    args = image.tile[0].args  # such as "RGB;16B", ("RGB;16N", False, 78) or ("RGB", 65535)
    if image.format == "PPM":
        return isinstance(args, tuple) and args[1] > 255
    return image.format in ("PNG", "TIFF") and ";16" in str(args)


def _by_opencv(data: bytes, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError("OpenCV cannot decode it")
    return pixels


def _orientation(image: ImageFile) -> int:
    """The EXIF orientation, 1 to 8."""
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1))
    except DECODER_ERRORS:
        return 1  # damaged EXIF data: the pixels are fine
    return orientation if 1 <= orientation <= 8 else 1


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate or mirror pixels to be upright."""
    turned = pixels.swapaxes(0, 1) if orientation in TRANSPOSED else pixels
    return np.ascontiguousarray(np.flip(turned, FLIPPED_AXES.get(orientation, ())))
