"""Decode all channels of a TIFF file, which may be samples, planes or pages, with tifffile."""

import io
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from podium.images import tiff_header
from podium.images.decoded import MAX_CHANNELS, Decoded, ImageError, check_pixels, check_sides


def has_others(header: tiff_header.TiffHeader) -> bool:
    """Whether the file may have channels other than gray, or RGB or what is converted to it."""
    if header.colors > tiff_header.RGB:
        return False
    return header.channels not in (1, 3) or (header.channels == 1 and bool(header.others))


def decode(data: bytes, header: tiff_header.TiffHeader, *, first_page: bool = False) -> Decoded:
    """Decode the channels of the first image: [H, W, C]. Several pages of the same size and type
    are channels, too, unless only those of the `first_page` are wanted.
    """
    import tifffile  # takes a tenth of a second

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    check_sides(header.sides)
    check_pixels(header.sides)
    if (header.orientation or 1) != 1:
        raise ImageError("a TIFF file of several channels that must be rotated is not supported")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        series, first = file.series[0], file.pages[0]
        axes, shape = series.axes, series.shape
        pages: list[Any] = []
        if first_page or series.size == header.sides[0] * header.sides[1]:  # one channel
            pages = [
                page
                for page in ([first] if first_page else file.pages)
                if (page.shape, page.dtype) == (first.shape, first.dtype)
            ]
            axes, shape = "C" + first.axes, (len(pages), *first.shape)
        lengths = dict(zip(axes, shape, strict=True))
        channels = math.prod(length for axis, length in lengths.items() if axis not in "YX")
        if not {"Y", "X"} <= lengths.keys() or channels > MAX_CHANNELS:
            raise ImageError(
                f"the pixels have shape {shape}, with more than {MAX_CHANNELS} channels"
            )
        try:
            pixels = np.stack([page.asarray() for page in pages]) if pages else series.asarray()
            by_pillow = False
        except (ValueError, ImportError, NotImplementedError) as error:
            known = tifffile.TIFF.DECOMPRESSORS
            if isinstance(error, ValueError) and first.compression in known:
                raise  # it is damaged
            found = _by_pillow(data, pages or series.pages, shape)
            if found is None:
                name = getattr(first.compression, "name", str(first.compression))
                raise ImageError(_unsupported(name)) from None
            pixels, by_pillow = found, True
    pixels = _as_shown(pixels, header, by_pillow=by_pillow)
    pixels = np.moveaxis(pixels, [axes.index(axis) for axis in "YX"], [0, 1])
    return Decoded(np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1)))


def _as_shown(pixels: np.ndarray, header: tiff_header.TiffHeader, *, by_pillow: bool) -> np.ndarray:
    """Unsigned pixels with 0 for black; those of 1 bit with 255 for white. Pillow has inverted and
    scaled those of up to 8 bits already.
    """
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    is_inverted = header.colors == tiff_header.WHITE_IS_0 and header.kind == "u"
    if not is_inverted or (by_pillow and header.bits <= 8):
        return pixels
    return np.array(2 ** max(header.bits, 8) - 1, pixels.dtype) - pixels


def _by_pillow(data: bytes, pages: Sequence[Any], shape: Sequence[int]) -> np.ndarray | None:
    """The pixels of `pages` in `shape`, whose compression or bits tifffile lacks (LZW, Zstandard; 2
    and 4 bits); None if Pillow has other shapes or types.
    """
    parts = list[np.ndarray]()
    with suppress(OSError), Image.open(io.BytesIO(data)) as image:
        for page in pages:
            image.seek(page.index)
            parts.append(np.asarray(image))
    expected = [(page.shape, page.dtype) for page in pages]
    same = expected == [(part.shape, part.dtype) for part in parts]
    return np.stack(parts).reshape(shape) if same else None


def _unsupported(compression: str) -> str:
    return (
        f"a TIFF file of several channels with {compression} compression is not supported: convert "
        "it to .npy, or with `tiffcp -c zip`"
    )
