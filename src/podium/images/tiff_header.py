"""Read what a TIFF file says about its pixels, which Pillow refuses for many types of pixels."""

import io
from typing import NamedTuple

from PIL.TiffImagePlugin import ImageFileDirectory_v2

STARTS = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"  # the last two are BigTIFF
BIG_STARTS = STARTS[2:]
WIDTH, HEIGHT, BITS, COLORS, CHANNELS, KIND = 256, 257, 258, 262, 277, 339
ORIENTATION, XMP = 274, 700
WHITE_IS_0, BLACK_IS_0, RGB = range(3)  # values of COLORS; higher ones: a palette, CMYK, YCbCr, …
KINDS = {1: "u", 2: "i", 3: "f"}  # of KIND, as in NumPy: unsigned, signed, float


class TiffHeader(NamedTuple):
    """The tags of a TIFF file's first image that concern its pixels."""

    sides: tuple[int, int]
    bits: int  # of a channel
    kind: str  # of numbers, as in NumPy: u, i or f
    channels: int
    colors: int
    has_orientation: bool
    xmp: bytes


def read(data: bytes) -> TiffHeader:
    """Read the header of a TIFF file."""
    file = io.BytesIO(data)
    tags = ImageFileDirectory_v2(file.read(16 if data.startswith(BIG_STARTS) else 8))
    file.seek(tags.next)
    tags.load(file)

    def first(tag: int, default: int = 1) -> int:
        value = tags.get(tag, default)  # a tuple for each channel, or an integer
        return int(value[0] if isinstance(value, tuple) else value)

    xmp = tags.get(XMP, b"")
    return TiffHeader(
        sides=(first(WIDTH), first(HEIGHT)),
        bits=first(BITS),
        kind=KINDS.get(first(KIND), "u"),
        channels=first(CHANNELS),
        colors=first(COLORS),
        has_orientation=ORIENTATION in tags,
        xmp=xmp if isinstance(xmp, bytes) else str(xmp).encode(),
    )
