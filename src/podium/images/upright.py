"""Upright images: the orientation in a file's metadata, and how pixels are turned by it."""

import re
from typing import Any

import numpy as np
from PIL.ImageFile import ImageFile

from podium.images.decoded import DECODER_ERRORS

XMP_ORIENTATION = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*(\d+)""")
ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, 2 to 8 are rotated or mirrored
FLIPPED_AXES = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
TRANSPOSED = range(5, 9)


def read(image: ImageFile) -> int:
    """The orientation in the EXIF data, else in the XMP data: 1 to 8."""
    if image.format == "PNG":
        image.load()  # its metadata may follow the pixels
    xmp = [image.info.pop(key, b"") for key in ("xmp", "XML:com.adobe.xmp")]
    try:
        value = image.getexif().get(ORIENTATION)  # Pillow would add that of the XMP data
    except DECODER_ERRORS:
        return 1  # damaged EXIF data: the pixels are fine
    return in_xmp(xmp[0] or xmp[1]) if value is None else _valid(value)


def in_xmp(xmp: bytes | str) -> int:
    match = XMP_ORIENTATION.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return _valid(match[1]) if match else 1


def _valid(orientation: Any) -> int:
    """An orientation of any type as an integer; 1, upright, if it is none."""
    first = orientation[0] if isinstance(orientation, tuple) and orientation else orientation
    try:
        number = int(first)
    except DECODER_ERRORS:
        return 1
    return number if 1 <= number <= 8 else 1


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate or mirror pixels to be upright."""
    turned = pixels.swapaxes(0, 1) if orientation in TRANSPOSED else pixels
    return np.ascontiguousarray(np.flip(turned, FLIPPED_AXES.get(orientation, ())))
