"""Decode NumPy's files (.npy, and .npz with one array) that contain an image each."""

import io
import math
import re
import zipfile

import numpy as np

from podium.images.decoded import Decoded, ImageError, check_pixels, check_sides

NPY_START = b"\x93NUMPY"
NPZ_START = re.compile(
    rb"PK\x03\x04.{26}[^/\0]{1,64}?\.npy", re.DOTALL
)  # a zip archive whose first file is an array
CHANNELS = (1, 3, 4)


def decode_npy(data: bytes, _: int | None = None) -> Decoded:
    """Decode an array [H, W], [H, W, C] or [C, H, W], with 1, 3 or 4 channels."""
    return Decoded(as_image(_read(data)))


def decode_npz(data: bytes, _: int | None = None) -> Decoded:
    """Decode the only array of an archive, as `decode_npy`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(names) != 1:
            arrays = ", ".join(name.removesuffix(".npy") for name in names[:5])
            raise ImageError(
                f"it contains {len(names)} arrays ({arrays}), not one. Write one file per image"
            )
        with archive.open(names[0]) as file:
            head = file.read(min(archive.getinfo(names[0]).file_size, 4096))
            _check_header(head, len(head) < 4096)
            content = head + file.read()
    return Decoded(as_image(_read(content)))


def as_image(array: np.ndarray) -> np.ndarray:
    """An array as [H, W] or [H, W, C]; booleans as 0 and 255.

    Raises:
        ImageError: if it is not numbers in one of the shapes that `decode_npy` accepts.
    """
    if array.dtype.kind not in "buif":
        raise ImageError(f"an array of type {array.dtype}, not of numbers")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}, not [H, W], [H, W, C] or [C, H, W]")
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.dtype == np.float16:
        array = array.astype(np.float32)  # its largest values overflow when they are scaled
    return np.ascontiguousarray(array)


def _read(data: bytes) -> np.ndarray:
    _check_header(data, is_complete=True)
    array: np.ndarray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _check_header(data: bytes, is_complete: bool) -> None:
    """Raises: ImageError: if an array is too large, which is known before it is read."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0}
    shape, _, dtype = readers.get(version, np.lib.format.read_array_header_2_0)(file)
    if len(shape) < 2:
        return
    sides = sorted(shape)[-2:]
    check_sides((*sides,))
    check_pixels((*sides,))
    size = math.prod(shape) * dtype.itemsize
    if is_complete and dtype.hasobject is False and len(data) - file.tell() < size:
        raise ImageError(f"truncated: {len(data) - file.tell():,} of {size:,} bytes")
