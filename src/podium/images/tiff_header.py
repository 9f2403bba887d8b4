"""Read TIFF headers, also for pixel types that Pillow refuses, and choose among the sizes of an
image, which files of slides and maps contain.
"""

import io
import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL.TiffImagePlugin import ImageFileDirectory_v2

STARTS = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"  # the last two are BigTIFF
BIG_STARTS = STARTS[2:]
WIDTH, HEIGHT, BITS, COLORS, CHANNELS, KIND = 256, 257, 258, 262, 277, 339
ORIENTATION, PLANES, XMP = 274, 284, 700
SUBFILE, TILE_WIDTH, SUB_IFDS = 254, 322, 330
LONG8, IFD8 = 16, 18  # value types of BigTIFF
MAX_LEVELS = 64  # examined per file
MAX_ASPECT_ERROR = 0.02  # smaller sizes are rounded
WHITE_IS_0, BLACK_IS_0, RGB = range(3)  # values of COLORS; higher ones: a palette, CMYK, YCbCr, …
KINDS = {1: "u", 2: "i", 3: "f"}  # of KIND, as in NumPy: unsigned, signed, float


class _Tags(ImageFileDirectory_v2):
    """Also reads the value type of sub-IFD offsets in BigTIFF files."""

    _load_dispatch = {**ImageFileDirectory_v2._load_dispatch}  # noqa: RUF012
    _load_dispatch[IFD8] = _load_dispatch[LONG8]


class TiffHeader(NamedTuple):
    """The tags of an image in a TIFF file that concern its pixels."""

    sides: tuple[int, int]  # width, height
    bits: int  # of a channel
    kind: str  # of numbers, as in NumPy: u, i or f
    channels: int
    colors: int
    is_planar: bool  # channels are stored one after another, not pixels
    orientation: int | None
    xmp: bytes
    is_level: bool  # may be one of several sizes of an image, by its tags
    others: tuple[int, ...]  # offsets of the next image and of sub-IFDs


def read(data: bytes, start: int | None = None) -> TiffHeader:
    """Read the header of a TIFF file's first image, or of the one whose tags start at `start`."""
    file = io.BytesIO(data)
    tags = _Tags(file.read(16 if data.startswith(BIG_STARTS) else 8))
    file.seek(tags.next if start is None else start)
    tags.load(file)

    def values(tag: int) -> tuple[int, ...]:
        value = tags.get(tag, ())  # a tuple for each channel, or an integer
        return value if isinstance(value, tuple) else (int(value),)

    def first(tag: int, default: int = 1) -> int:
        return int(next(iter(values(tag)), default))

    xmp = tags.get(XMP, b"")
    return TiffHeader(
        sides=(first(WIDTH), first(HEIGHT)),
        bits=first(BITS),
        kind=KINDS.get(first(KIND), "u"),
        channels=first(CHANNELS),
        colors=first(COLORS),
        is_planar=first(CHANNELS) > 1 and first(PLANES) == 2,
        orientation=first(ORIENTATION) if ORIENTATION in tags else None,
        xmp=xmp if isinstance(xmp, bytes) else str(xmp).encode(),
        is_level=bool(first(SUBFILE, 0) & 1) or TILE_WIDTH in tags,
        others=tuple(filter(None, (*values(SUB_IFDS), tags.next))),
    )


def choose_level(
    data: bytes, full: TiffHeader, min_side: int | None, max_pixels: float
) -> tuple[bytes, TiffHeader]:
    """Choose among the sizes of the first image: the smallest whose shorter side has at least
    `min_side` pixels or, without that limit, the largest with at most `max_pixels`. Returns the
    file's bytes, changed so that this size comes first, and its header.
    """
    needs = min_side is not None and min(full.sides) >= 2 * min_side
    if not needs and math.prod(full.sides) <= max_pixels:
        return data, full
    found = [(start, level) for start, level in _levels(data, full) if _is_smaller(level, full)]
    large = [f for f in found if min_side is None or min(f[1].sides) >= min_side]
    fitting = [f for f in large if math.prod(f[1].sides) <= max_pixels]
    if not fitting:
        return data, full
    choose = min if needs else max
    start, level = choose(fitting, key=lambda f: math.prod(f[1].sides))
    order = ">" if data.startswith(b"MM") else "<"
    if data.startswith(BIG_STARTS):
        return data[:8] + struct.pack(f"{order}Q", start) + data[16:], level
    return data[:4] + struct.pack(f"{order}I", start) + data[8:], level


def _levels(data: bytes, full: TiffHeader) -> Iterator[tuple[int, TiffHeader]]:
    """Offsets and headers of the images after the first and of smaller sizes."""
    starts, seen = [*full.others], set[int]()
    while starts and len(seen) < MAX_LEVELS:
        start = starts.pop(0)
        if start in seen:
            continue
        seen.add(start)
        level = read(data, start)
        yield start, level
        starts += level.others


def _is_smaller(level: TiffHeader, full: TiffHeader) -> bool:
    """Whether `level` is a smaller size of the image `full`."""
    scales = [side / whole for side, whole in zip(level.sides, full.sides, strict=True)]
    same = (level.bits, level.kind, level.channels) == (full.bits, full.kind, full.channels)
    is_same_aspect = abs(scales[0] / scales[1] - 1) <= MAX_ASPECT_ERROR
    return level.is_level and same and is_same_aspect and max(scales) < 1
