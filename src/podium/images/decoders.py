"""Image formats: which files are images, and how each kind is decoded."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

MAX_SIDE = 1_000_000  # pixels: what OpenCV encodes and decodes
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, up to 8 are turned or mirrored
FLIPPED_AXES = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
TRANSPOSED = range(5, 9)
REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
# What the libraries raise for damaged files; those from AssertionError on were found by changing
# bytes at random.
DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, cv2.error, AssertionError),
    *(TypeError, LookupError, ArithmeticError, RuntimeError, zlib.error),
)


class ImageError(ValueError):
    """An image that cannot be decoded; the message says why."""


class Decoded(NamedTuple):
    """The upright pixels of an image file's first frame.

    [H, W] is grey, [H, W, 3] is RGB, [H, W, 4] has alpha. uint8 pixels are used as they are, those
    of any other type are scaled to `prepare.value_range`.
    """

    pixels: np.ndarray
    full_size: tuple[int, int] | None = None
    """Height and width of the file, where the pixels were decoded at a fraction of it."""
    is_plain: bool = False
    """Whether OpenCV decodes the file to the same pixels, so that it can be stored unchanged."""


class Decoder(NamedTuple):
    """One image format."""

    suffixes: tuple[str, ...]
    """Of the files in an archive that are images, in lower case."""
    accepts: Callable[[bytes], bool]
    """Whether the content of a file is of this format."""
    decode: Callable[[bytes, int | None], Decoded]
    """Gets the content and the number of pixels that suffice for the shorter side (None: all)."""


def decode_jpeg(data: bytes, min_side: int | None = None) -> Decoded:
    """Decode by OpenCV, at a half, a quarter or an eighth of the size if `min_side` allows it."""
    image = _open(data)
    if image.format != "JPEG" or image.mode not in ("RGB", "L") or not data.endswith(JPEG_END):
        return _decode_opened(image, data)
    factor = min(image.size) // min_side if min_side else 1
    reduced = next((flag for least, flag in REDUCED.items() if least <= factor), None)
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
    """The suffixes of image files, in lower case with their dot."""
    return frozenset(suffix for decoder in DECODERS.values() for suffix in decoder.suffixes)


def decode(data: bytes, min_side: int | None = None) -> Decoded:
    """Decode a file by the decoder of its format.

    Raises:
        Exception: whatever libraries raise for damaged files; `codec.decode` sorts that out.
    """
    last_first = reversed(DECODERS.values())
    return next(d for d in last_first if d.accepts(data)).decode(data, min_side)


def check_sides(sides: tuple[int, ...], limit: int = MAX_SIDE) -> None:
    """Raises: ImageError: if an image is too long or wide for OpenCV to encode or decode."""
    if max(sides) > limit:
        raise ImageError(f"too large: a side of {max(sides):,} pixels, the maximum is {limit:,}")


def _open(data: bytes) -> ImageFile:
    """The image with its header read and, of a PNG file, the checksums verified: Pillow decodes
    without them, OpenCV does not.
    """
    image = Image.open(io.BytesIO(data))
    check_sides(image.size)
    if image.format != "PNG":
        return image
    image.verify()  # which also closes it
    return Image.open(io.BytesIO(data))


def _decode_opened(image: ImageFile, data: bytes) -> Decoded:
    """Decode an image that Pillow has opened: by OpenCV if a pixel has more than 8 bits per
    channel, which Pillow drops or clips, else by Pillow.
    """
    is_wide = _is_wide(image)  # before the orientation: a PNG file is decoded to find it
    orientation = 1 if image.format == "TIFF" else _orientation(image)  # TIFF files are turned
    if is_wide:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # not each GeoTIFF tag
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
    """Whether a channel has more than 8 bits, of which Pillow keeps 8 if there are several."""
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
    """Turn pixels upright."""
    turned = pixels.swapaxes(0, 1) if orientation in TRANSPOSED else pixels
    return np.ascontiguousarray(np.flip(turned, FLIPPED_AXES.get(orientation, ())))
