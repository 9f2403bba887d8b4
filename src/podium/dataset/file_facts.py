"""What an image's file says before it is decoded: its size, format and metadata."""

import io
import warnings
from pathlib import PurePosixPath
from typing import NamedTuple

from PIL import Image

from podium.images.decoded import DECODER_ERRORS


class FileFacts(NamedTuple):
    """Facts about a file; a format that Pillow does not know has no size."""

    file: str
    bytes: int
    width: int
    height: int
    format: str
    mode: str  # Pillow's name of the channels: L, RGB, RGBA, P, CMYK, …
    exif: int  # the number of EXIF tags


def read(name: str, data: bytes) -> FileFacts:
    """The facts about the file called `name`."""
    unknown = FileFacts(name, len(data), 0, 0, PurePosixPath(name).suffix.lstrip("."), "", 0)
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            tags = len(image.getexif())
            return FileFacts(
                name, len(data), image.width, image.height, image.format or "", image.mode, tags
            )
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        return unknown
