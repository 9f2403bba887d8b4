"""Facts about image files: size, format, channels and EXIF data."""

import io
import warnings
from pathlib import PurePosixPath
from typing import NamedTuple

from PIL import Image

from podium.images.decoded import DECODER_ERRORS


class FileFacts(NamedTuple):
    """Facts about an image file; width and height are 0 for a format that Pillow cannot read."""

    file: str
    bytes: int
    width: int
    height: int
    format: str
    mode: str  # Pillow's mode: L, RGB, RGBA, P, CMYK, …
    exif: int  # the number of EXIF tags


def read(name: str, data: bytes) -> FileFacts:
    """Read the facts about the file `name`."""
    unknown = FileFacts(name, len(data), 0, 0, PurePosixPath(name).suffix.lstrip("."), "", 0)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            tags = len(image.getexif())
            return FileFacts(
                name, len(data), image.width, image.height, image.format or "", image.mode, tags
            )
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        return unknown
