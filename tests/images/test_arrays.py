"""Images in NumPy files."""

import io
from typing import Any

import numpy as np
import pytest

from podium.images import codec, decoders
from podium.images.decoded import ImageError

GRAY = np.arange(120, dtype=np.uint8).reshape(10, 12)
COLOR = np.dstack([GRAY, GRAY[::-1], GRAY + 9])


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(*, pack: bool = False, **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if pack else np.savez)(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GRAY, GRAY),
        (GRAY[..., None], GRAY),
        (GRAY[None], GRAY),
        (COLOR, COLOR),
        (np.asfortranarray(COLOR), COLOR),
        (COLOR.transpose(2, 0, 1), COLOR),
        (COLOR[None], COLOR),
        (GRAY > 50, np.uint8(255) * (GRAY > 50)),
    ],
)
def test_8_bit_arrays_of_all_shapes_are_unchanged(array: np.ndarray, expected: np.ndarray) -> None:
    expected = np.dstack([expected] * 3) if expected.ndim == 2 else expected
    for data in (npy(array), npz(image=array), npz(image=array, pack=True)):
        assert decoders.is_image(data[: decoders.HEAD_BYTES])
        assert np.array_equal(codec.decode(data), expected)


@pytest.mark.parametrize("kind", ["u2", ">u2", "i2", "i8", "f2", "f4", "f8"])
def test_other_types_are_scaled_from_a_range(kind: str) -> None:
    data = npy(COLOR.astype(kind))
    with pytest.raises(codec.UnscaledError) as caught:
        codec.reencode(data, max_size=None, encode="png", quality=95)
    assert caught.value.value_range == (0, COLOR.max())
    expected = np.round((COLOR - 20.0) / 80 * 255).clip(0, 255)
    pixels = codec.decode(data, value_range=(20, 100))
    assert np.abs(pixels - expected).max() <= 1


def test_large_half_precision_values_do_not_overflow() -> None:
    data = npy(np.array([[-60_000, 0, 60_000]], np.float16))
    assert codec.decode(data)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            npy(np.zeros((75, 75, 2), np.uint8)),
            r"shape \(75, 75, 2\): 2 channels are not supported",
        ),
        (npy(np.zeros((6, 27, 25), np.uint8)), r"shape \(27, 25, 6\): 6 channels"),
        (npy(np.zeros((2, 3, 8, 8))), r"shape \(2, 3, 8, 8\), not \[H, W\]"),
        (npy(np.zeros(8)), r"shape \(8,\)"),
        (npy(np.zeros((0, 8))), r"shape \(0, 8\)"),
        (npy(np.array([["a", "b"]])), "type <U1, not of numbers"),
        (npy(np.array([[{}]], object), allow_pickle=True), "array of Python objects"),
        (npy(GRAY).replace(b"{'descr", b"}'descr"), "its header is damaged"),
        (npz(a=GRAY, b=GRAY), r"2 arrays \(a, b\), not one"),
        (npy(GRAY)[:-7], "truncated: 113 of 120 bytes"),
        (npz(image=GRAY, pack=True)[:-40], "not a zip file"),
        (npy(np.zeros((3000, 3000), bool)), "too large: 9,000,000 pixels.*max_megapixels"),
        (npz(a=np.zeros((3000, 3000), bool), pack=True), "too large: 9,000,000 pixels"),
    ],
)
def test_other_arrays_are_errors_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        codec.decode(data, max_megapixels=1)
