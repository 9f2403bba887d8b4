"""Decode images in NumPy files: .npy, and .npz with one array."""

import io
import math
import re
import tokenize
import zipfile
from typing import NamedTuple

import numpy as np

from podium.images.decoded import (
    MAX_CHANNELS,
    Decoded,
    ImageError,
    check_pixels,
    check_sides,
)

NPY_START = b"\x93NUMPY"
# A zip archive whose first file is an array.
NPZ_START = re.compile(rb"PK\x03\x04.{26}[^/\0]{1,64}?\.npy", re.DOTALL)
USUAL_CHANNELS = (1, 3, 4)
MAX_HEADER = 4096  # bytes


def decode_npy(data: bytes, _: int | None = None) -> Decoded:
    """Decode an array [H, W], [H, W, C] or [C, H, W], see `channel_axis`."""
    return Decoded(as_image(_read(data)))


def decode_npz(data: bytes, _: int | None = None) -> Decoded:
    """Decode the only array of an archive like `decode_npy`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(names) != 1:
            arrays = ", ".join(name.removesuffix(".npy") for name in names[:5])
            raise ImageError(
                f"contains {len(names)} arrays ({arrays}), not one. Write one file per image"
            )
        with archive.open(names[0]) as file:
            head = file.read(MAX_HEADER)
            _header(head)  # before the rest is unpacked
            content = head + file.read()
    return Decoded(as_image(_read(content)))


def as_image(array: np.ndarray) -> np.ndarray:
    """Convert an array to [H, W] or [H, W, C], and booleans to 0 and 255.

    Raises:
        ImageError: if it is not numbers in one of the shapes that `decode_npy` accepts.
    """
    if array.dtype.kind not in "buif":
        raise ImageError(f"an array of type {array.dtype}, not of numbers")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and channel_axis(array.shape) == 0:
        array = array.transpose(1, 2, 0)
    is_image = array.ndim == 2 or (array.ndim == 3 and channel_axis(array.shape) is not None)
    if not is_image or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}, not [H, W], [H, W, C] or [C, H, W]")
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.dtype == np.float16:
        array = array.astype(np.float32)  # float16 would overflow when scaled
    return np.require(array, requirements=["C", "W"])


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Which axis of an array [H, W, C] or [C, H, W] is that of the channels, 2 or 0: one with 1, 3
    or 4 of them, else the shorter one; None if both have more than `MAX_CHANNELS`.
    """
    first, last = shape[0], shape[2]
    for axis, size in ((2, last), (0, first)):
        if size in USUAL_CHANNELS:
            return axis
    if min(first, last) > MAX_CHANNELS:
        return None
    return 2 if last <= first else 0


class _Header(NamedTuple):
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    size: int  # of the header, in bytes


def _read(data: bytes) -> np.ndarray:
    """The array of a .npy file, without copying it."""
    header = _header(data)
    count = math.prod(header.shape)
    available, needed = len(data) - header.size, count * header.dtype.itemsize
    if available < needed:
        raise ImageError(f"truncated: {available:,} of {needed:,} bytes")
    values = np.frombuffer(data, header.dtype, count, header.size)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")


def _header(data: bytes) -> _Header:
    """The header of a .npy file.

    Raises:
        ImageError: if the array is too large, or contains Python objects.
    """
    file = io.BytesIO(data[:MAX_HEADER])
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0}
    read = readers.get(version, np.lib.format.read_array_header_2_0)
    try:
        shape, is_fortran, dtype = read(file)
    except tokenize.TokenError as error:  # not one of DECODER_ERRORS
        raise ImageError(f"its header is damaged: {error}") from None
    if dtype.hasobject:
        raise ImageError("an array of Python objects, not of numbers")
    if len(shape) >= 2:
        sides = tuple(sorted(shape)[-2:])
        check_sides(sides)
        check_pixels(sides)
    return _Header(shape, is_fortran, dtype, file.tell())
