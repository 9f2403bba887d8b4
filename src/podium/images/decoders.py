"""Image formats: which files are images, and how each format is decoded."""

import io
import re
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from podium.images import arrays, dicom, tiff_channels, tiff_header, upright
from podium.images.decoded import (
    Decoded,
    ImageError,
    check_pixels,
    check_sides,
    max_pixels,
)

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
HEAD_BYTES = 132  # enough to recognize every format
OTHER_STARTS = re.compile(
    rb"\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM.{4}\0{4}.{4}[\x0c-\x7c]\0\0\0|P[1-6]\s+[#\d]"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51|....ftypavi[fs]|qoif",  # also JPEG 2000, AVIF
    re.DOTALL,
)
REDUCED = {n: getattr(cv2, f"IMREAD_REDUCED_COLOR_{n}") for n in (8, 4, 2)}  # decode at 1/n


class Decoder(NamedTuple):
    """One image format."""

    suffixes: tuple[str, ...]
    """Suffixes of image files, in lower case."""
    accepts: Callable[[bytes], bool]
    """Whether a file has this format, by its first `HEAD_BYTES` or all of it."""
    decode: Callable[[bytes, int | None], Decoded]
    """Decodes a file's content; the shorter side may be reduced to the given number of pixels."""
    decode_channels: Callable[[bytes], Decoded] | None = None
    """Decodes all channels, if `decode` does not, for `prepare.channels` other than 1 and 3."""


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
    orientation = upright.read(image)
    width, height = image.size if orientation not in upright.TRANSPOSED else image.size[::-1]
    return Decoded(upright.turn(pixels, orientation), (height, width), is_plain=orientation == 1)


def decode_other(data: bytes, _: int | None = None) -> Decoded:
    """Decode any format that Pillow can open."""
    return _decode_opened(_open(data), data)


def decode_tiff(data: bytes, min_side: int | None = None) -> Decoded:
    """Decode with Pillow if each channel is an unsigned integer of up to 8 bits, else with OpenCV:
    Pillow drops bits and signs, or refuses them. If the image is stored in several sizes, the
    smallest that `min_side` allows is decoded, else the largest that is not too large.
    """
    full = tiff_header.read(data)
    if (full.orientation or 1) != 1 or upright.in_xmp(full.xmp) != 1:  # smaller sizes lack it
        return _decode_level(data, full)
    data, header = tiff_header.choose_level(data, full, min_side, max_pixels())
    decoded = _decode_level(data, header)
    if min_side is None or header.sides == full.sides:
        return decoded
    return decoded._replace(full_size=full.sides[::-1])


def _decode_level(data: bytes, header: tiff_header.TiffHeader) -> Decoded:
    kind, bits, channels = header.kind, header.bits, header.channels
    is_deep = bits > 8 or kind != "u"
    is_gray = channels == 3 and header.colors < tiff_header.RGB
    # Neither library reads three gray samples, or more than RGBA; OpenCV reads planes as garbage.
    if is_gray or channels > 4 or (header.is_planar and is_deep):
        return tiff_channels.decode(data, header, first_page=True)
    # Both libraries apply the tag; Pillow reads some XMP data, too.
    orientation = 1 if header.orientation is not None else upright.in_xmp(header.xmp)
    if not is_deep or header.colors > tiff_header.RGB:
        image = _open(data)
        if len(image.getbands()) < channels and header.colors < tiff_header.RGB:
            raise _unsupported(header)  # Pillow would drop channels
        image.info.pop("xmp", None)
        return _decode_opened(image, data, orientation)
    check_sides(header.sides)
    check_pixels(header.sides)
    pixels = _by_opencv(data, cv2.IMREAD_UNCHANGED)
    actual = pixels.dtype.kind, 1 if pixels.ndim == 2 else pixels.shape[2]
    is_signed_rgba = channels == 4 and bits == 8  # which OpenCV changes
    if actual != (kind, channels) or pixels.itemsize * 8 < bits or is_signed_rgba:
        raise _unsupported(header)
    if header.colors == tiff_header.WHITE_IS_0 and kind == "u":
        pixels = np.array(2**bits - 1, pixels.dtype) - pixels
    return Decoded(upright.turn(_as_rgb(pixels), orientation))


def _unsupported(header: tiff_header.TiffHeader) -> ImageError:
    channels, problem = header.channels, "not supported: a TIFF of {} channels of type {}{}"
    hint = "" if channels in (1, 3) else f". Set prepare.channels: {channels} to keep them"
    return ImageError(problem.format(channels, header.kind, header.bits) + hint)


def decode_tiff_channels(data: bytes) -> Decoded:
    """Decode all channels: samples, planes or pages."""
    header = tiff_header.read(data)
    if tiff_channels.has_others(header):
        return tiff_channels.decode(data, header)
    return decode_tiff(data)


DECODERS = {
    "other": Decoder(
        (".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm"),
        lambda data: OTHER_STARTS.match(data) is not None,
        decode_other,
    ),
    "npy": Decoder((".npy",), lambda data: data.startswith(arrays.NPY_START), arrays.decode_npy),
    "npz": Decoder(
        (".npz",), lambda data: arrays.NPZ_START.match(data) is not None, arrays.decode_npz
    ),
    "tiff": Decoder(
        (".tif", ".tiff"),
        lambda data: data.startswith(tiff_header.STARTS),
        decode_tiff,
        decode_tiff_channels,
    ),
    "jpeg": Decoder(
        (".jpg", ".jpeg", ".jfif", ".jpe"), lambda data: data.startswith(JPEG_START), decode_jpeg
    ),
    "dicom": Decoder(
        (".dcm", ".dicom"), lambda data: dicom.START.match(data) is not None, dicom.decode_dicom
    ),
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
    return _find(data).decode(data, min_side)


def decode_channels(data: bytes) -> Decoded:
    """Decode a file with all its channels.

    Raises:
        Exception: as `decode`.
    """
    decoder = _find(data)
    return (
        decoder.decode(data, None)
        if decoder.decode_channels is None
        else (decoder.decode_channels(data))
    )


def _find(data: bytes) -> Decoder:
    accepting = (decoder for decoder in reversed(DECODERS.values()) if decoder.accepts(data))
    return next(accepting, DECODERS["other"])


def is_image(head: bytes) -> bool:
    """Whether a file that starts with `head`, of `HEAD_BYTES`, has a format of `DECODERS`."""
    return any(decoder.accepts(head) for decoder in DECODERS.values())


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


def _decode_opened(image: ImageFile, data: bytes, orientation: int | None = None) -> Decoded:
    """Decode an opened image: with OpenCV if it has more than 8 bits per channel, which Pillow
    drops or clips, else with Pillow.
    """
    is_wide = _is_wide(image)  # before upright.read, which decodes PNG files
    orientation = orientation or upright.read(image)
    if is_wide:
        pixels = _by_opencv(data, cv2.IMREAD_UNCHANGED)
        return Decoded(upright.turn(_as_rgb(pixels), orientation))
    transparent = image.has_transparency_data
    pixels = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    complete = image.format == "PNG" and data.endswith(PNG_END)
    is_plain = complete and orientation == 1 and not transparent and image.mode in ("RGB", "L")
    return Decoded(upright.turn(pixels, orientation), is_plain=is_plain)


def _is_wide(image: ImageFile) -> bool:
    """Whether a channel has more than 8 bits."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.mode not in ("RGB", "RGBA", "LA") or not image.tile:
        return False
    args = image.tile[0].args  # such as "RGB;16B", ("RGB;16N", False, 78) or ("RGB", 65535)
    if image.format == "PPM":
        return isinstance(args, tuple) and args[1] > 255
    return image.format == "PNG" and ";16" in str(args)


def _as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Pixels of OpenCV, which may be BGR or BGRA, as RGB or RGBA."""
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _by_opencv(data: bytes, flags: int) -> np.ndarray:
    # It would print a warning per tag of a GeoTIFF, and errors, which are raised here.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError("OpenCV cannot decode it")
    return pixels
