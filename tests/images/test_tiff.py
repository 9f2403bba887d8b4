"""TIFF files of all depths, signs and numbers of channels, and orientations as EXIF and XMP state
them.
"""

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from podium.images import codec, decoders
from podium.images.decoded import ImageError

FAULTS = Path(__file__).parents[3] / "shared" / "cases" / "faults"
SHORT, LONG = 3, 4
VALUES = np.arange(120).reshape(10, 12)
UPRIGHT = {  # what to do with stored pixels, by orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


def tiff(
    pixels: np.ndarray,
    *,
    order: str = "<",
    orientation: tuple[int, int] | None = None,
    colors: int | None = None,
    xmp: bytes = b"",
) -> bytes:
    """An uncompressed TIFF file of these values. `orientation`: the tag's type and value."""
    height, width, channels = (*pixels.shape, 1)[:3]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    entries: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8 * pixels.itemsize] * channels),
        259: (SHORT, [1]),
        262: (SHORT, [(2 if channels > 2 else 1) if colors is None else colors]),
        273: (LONG, [0]),  # where the pixels start: see below
        277: (SHORT, [channels]),
        278: (LONG, [height]),
        279: (LONG, [len(data)]),
        339: (SHORT, [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * channels),
    }
    if orientation is not None:
        entries[274] = orientation[0], [orientation[1]]
    if channels in (2, 4):
        entries[338] = SHORT, [2]  # the last channel is alpha
    if xmp:
        entries[700] = 1, list(xmp)
    first = 8 + 2 + 12 * len(entries) + 4  # byte after the directory
    long_values, directory = b"", b""
    sizes = [len(v) * {1: 1, SHORT: 2, LONG: 4}[kind] for kind, v in entries.values()]
    entries[273] = LONG, [first + sum(size for size in sizes if size > 4)]
    for tag, (kind, values) in sorted(entries.items()):
        raw = struct.pack(f"{order}{len(values)}{ {1: 'B', SHORT: 'H', LONG: 'I'}[kind] }", *values)
        if len(raw) > 4:
            raw, long_values = struct.pack(order + "I", first + len(long_values)), long_values + raw
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return start + directory + bytes(4) + long_values + data


def store(data: bytes, value_range: tuple[float, float] | None) -> np.ndarray:
    """The pixels of an image as training sees them."""
    stored, pixels = codec.reencode(
        data, max_size=None, encode="png", quality=95, value_range=value_range
    )
    assert np.array_equal(codec.decode_stored(stored), pixels)
    return pixels


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_all_depths_and_signs_are_scaled_from_a_range(kind: str, channels: int, order: str) -> None:
    values = VALUES if channels == 1 else np.dstack([VALUES, VALUES[::-1], VALUES + 3])
    if kind[0] != "u":
        values = values - 60
    data = tiff(values.astype(kind), order=order)
    low, high = float(values.min()), float(values.max())
    with pytest.raises(codec.UnscaledError) as caught:
        store(data, None)
    assert caught.value.value_range == (low, high)
    expected = np.round((values - low) / (high - low) * 255)
    if channels == 1:
        expected = np.dstack([expected] * 3)
    assert np.abs(store(data, (low, high)) - expected).max() <= 1
    assert np.array_equal(codec.decode(data), store(data, (low, high)))


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_alpha_of_all_depths_is_blended_with_white(kind: str) -> None:
    dtype = np.dtype(kind)
    opaque = 1 if dtype.kind == "f" else np.iinfo(dtype).max
    black = np.zeros((1, 2, 4), dtype)
    black[0, 1, 3] = opaque
    assert store(tiff(black), (0, 100))[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_white_may_be_0(kind: str) -> None:
    top = np.iinfo(kind).max
    data = tiff(np.array([[0, top // 5, top]], kind), colors=0)
    assert store(data, (0, top))[0, :, 0].tolist() == [255, 204, 0]


@pytest.mark.parametrize(("kind", "channels"), [("i1", 4), ("u2", 2), ("i4", 2), ("f4", 2)])
def test_what_no_library_decodes_is_an_error(kind: str, channels: int) -> None:
    data = tiff(np.dstack([VALUES] * channels).astype(kind))
    with pytest.raises(ImageError, match=rf"{channels} channels|OpenCV cannot"):
        codec.decode(data)


@pytest.mark.parametrize("kind", ["i2", "u4", "f8"])
def test_deep_files_that_are_cut_short_are_errors(kind: str) -> None:
    data = tiff(VALUES.astype(kind))
    for size in (len(data) * 3 // 4, 100, 9):
        with pytest.raises(ImageError):
            codec.decode(data[:size])


def test_a_deep_image_too_large_to_be_one_is_refused() -> None:
    data = bytearray(tiff(VALUES.astype("f4")))
    for side in (256, 257):
        position = data.index(struct.pack("<HHI", side, LONG, 1)) + 8
        data[position : position + 4] = struct.pack("<I", 50_000)
    with pytest.raises(ImageError, match="too large"):
        codec.decode(bytes(data))


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("tag", [SHORT, LONG])
@pytest.mark.parametrize("order", "<>")
def test_all_depths_are_turned_upright(kind: str, tag: int, order: str) -> None:
    for orientation in range(10):
        data = tiff(VALUES.astype(kind), order=order, orientation=(tag, orientation))
        expected = UPRIGHT.get(orientation, UPRIGHT[1])(VALUES)
        assert np.array_equal(store(data, (0, 255))[..., 0], expected)


XMP_TEXTS = {
    "attribute": '<x tiff:Orientation="{}"/>',
    "single quotes": "<x tiff:Orientation = '{}'/>",
    "element": "<x><tiff:Orientation>{}</tiff:Orientation></x>",
}


def photo(format_: str, xmp: str) -> bytes:
    """A gradient with this XMP data."""
    buffer = io.BytesIO()
    pixels = np.repeat(VALUES[..., None] * 2, 3, axis=2).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    if format_ == "TIFF":
        return tiff(pixels[..., 0].astype("u2"), xmp=xmp.encode())
    if format_ == "8-bit TIFF":
        return tiff(pixels, xmp=xmp.encode())
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    options = {"pnginfo": info} if format_ == "PNG" else {"xmp": xmp.encode()}
    Image.fromarray(pixels).save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "8-bit TIFF"])
@pytest.mark.parametrize("text", XMP_TEXTS)
def test_an_orientation_in_xmp_data_turns_size_and_pixels(format_: str, text: str) -> None:
    plain = store(photo(format_, "<x/>"), (0, 255)).astype(int)
    for orientation in (*range(10), 61):
        pixels = store(photo(format_, XMP_TEXTS[text].format(orientation)), (0, 255))
        expected = UPRIGHT.get(orientation, UPRIGHT[1])(plain)
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() <= 12


def exif(kind: int, orientation: int, order: str, count: int = 1) -> bytes:
    """A JPEG with this orientation in its EXIF data, as Pillow would not write it."""
    encoded = cv2.imencode(".jpg", np.tile(VALUES[..., None] * 2, (8, 8, 3)).astype(np.uint8))[1]
    value = struct.pack(order + {SHORT: "H", LONG: "I"}[kind], orientation).ljust(4, b"\0")
    entry = struct.pack(order + "HHHI", 1, 0x112, kind, count) + value
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    segment = b"Exif\0\0" + start + entry + bytes(4)
    data = encoded.tobytes()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("order", "<>")
def test_size_and_pixels_of_a_jpeg_follow_one_reading_of_its_orientation(
    kind: int, order: str
) -> None:
    plain = store(exif(kind, 1, order), None).astype(int)
    assert plain.shape == (80, 96, 3)
    for orientation in (*range(10), 255, 65535):
        expected = UPRIGHT.get(orientation, UPRIGHT[1])(plain)
        pixels = store(exif(kind, orientation, order), None)
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() <= 12


def test_a_stored_jpeg_is_turned_by_nobody_else() -> None:
    """Two values: Pillow takes them for a list, OpenCV reads the first."""
    data = exif(SHORT, 6, "<", count=2)
    stored, pixels = codec.reencode(data, max_size=None, encode="jpeg", quality=95)
    assert codec.decode_stored(stored).shape == pixels.shape == codec.decode(data).shape


@pytest.mark.skipif(not FAULTS.exists(), reason="needs ../shared")
def test_the_files_of_the_report() -> None:
    assert store((FAULTS / "exif9.jpg").read_bytes(), None).shape == (60, 120, 3)
    assert store((FAULTS / "xmp6.jpg").read_bytes(), None).shape == (120, 60, 3)
    ramp = codec.decode((FAULTS / "int32_0_255.tif").read_bytes())
    assert (ramp.min(), ramp.max()) == (0, 255)


PYRAMID = [(320, 480), (160, 240), (80, 120), (40, 60)]


def pyramid(
    *, sub_ifds: bool, kind: str = "u1", bigtiff: bool = False, tiled: bool = True
) -> bytes:
    """A slide in four sizes as tifffile writes it; the value of all pixels says which size."""
    file = io.BytesIO()
    options: dict[str, Any] = {"photometric": "rgb", "tile": (32, 32) if tiled else None}
    with tifffile.TiffWriter(file, bigtiff=bigtiff) as writer:
        for number, (height, width) in enumerate(PYRAMID):
            if sub_ifds:
                place = {"subifds": len(PYRAMID) - 1} if number == 0 else {"subfiletype": 1}
            else:
                place = {}
            pixels = np.full((height, width, 3), number * 10, kind)
            writer.write(pixels, **options, **place)
    return file.getvalue()


@pytest.mark.parametrize("sub_ifds", [False, True])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize(("max_size", "level"), [(8, 3), (40, 3), (42, 2), (158, 1), (161, 0)])
def test_the_smallest_size_that_suffices_is_decoded(
    sub_ifds: bool, bigtiff: bool, kind: str, max_size: int, level: int
) -> None:
    data = pyramid(sub_ifds=sub_ifds, bigtiff=bigtiff, kind=kind)
    _, pixels = codec.reencode(
        data, max_size=max_size, encode="png", quality=95, value_range=(0, 255)
    )
    assert pixels.shape == (max_size, round(1.5 * max_size), 3)
    assert (pixels == level * 10).all()


def test_of_a_slide_that_is_too_large_the_largest_size_that_is_not_is_decoded() -> None:
    data = pyramid(sub_ifds=False)
    assert codec.decode(data).shape == (320, 480, 3)
    pixels = codec.decode(data, max_megapixels=0.1)
    assert pixels.shape == (160, 240, 3) and (pixels == 10).all()
    with pytest.raises(ImageError, match=r"too large: 153600 pixels\. Set prepare\.max_megapixels"):
        codec.decode(data, max_megapixels=0.001)


def test_pages_that_are_no_sizes_of_the_first_are_not_used() -> None:
    for data in (pyramid(sub_ifds=False, tiled=False), turned_pages()):
        _, pixels = codec.reencode(data, max_size=40, encode="png", quality=95)
        assert not pixels.any()


def turned_pages() -> bytes:
    """Another image, of another shape, in the file."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, shape in enumerate([(320, 480, 3), (120, 80, 3)]):
            writer.write(np.full(shape, number, np.uint8), photometric="rgb", tile=(32, 32))
    return file.getvalue()


def test_a_slide_whose_sizes_refer_to_each_other_is_decoded() -> None:
    data = bytearray(pyramid(sub_ifds=False))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        first, last = file.pages[0].offset, file.pages[3].offset
    count = struct.unpack_from("<H", data, last)[0]
    struct.pack_into("<I", data, last + 2 + 12 * count, first)
    _, pixels = codec.reencode(bytes(data), max_size=40, encode="png", quality=95)
    assert (pixels == 30).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_files_of_tifffile_are_decoded(kind: str, compression: str | None) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, VALUES.astype(kind), compression=compression)
    expected = VALUES if kind == "u1" else np.round((VALUES - 10) / 50 * 255).clip(0, 255)
    assert np.abs(store(file.getvalue(), (10, 60))[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize(("kind", "count"), [("u1", 3), ("u2", 4), ("f4", 2)])
def test_compressed_pages_are_channels(kind: str, count: int, compression: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 40, count)).astype(kind)
    first, *others = (
        Image.fromarray(np.ascontiguousarray(page)) for page in pixels.transpose(2, 0, 1)
    )
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=others, compression=compression)
    decoded = decoders.decode_channels(file.getvalue()).pixels
    assert decoded.dtype == pixels.dtype and (decoded == pixels).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd"])
@pytest.mark.parametrize(("mode", "count"), [("LA", 2), ("RGBA", 4)])
def test_compressed_samples_are_channels(mode: str, count: int, compression: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 40, count), dtype=np.uint8)
    Image.fromarray(pixels, mode).save(file := io.BytesIO(), "TIFF", compression=compression)
    assert (decoders.decode_channels(file.getvalue()).pixels == pixels).all()


def test_an_unsupported_compression_is_named_with_the_way_out() -> None:
    """LZW with more samples than Pillow reads."""
    pixels = np.random.default_rng(0).integers(0, 255, (32, 40, 5), dtype=np.uint8)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig")
    data = file.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        place = opened.pages[0].tags["Compression"].valueoffset
    data = data[:place] + (5).to_bytes(2, "little") + data[place + 2 :]
    problem = "several channels with LZW compression is not supported: convert it to .npy, or"
    with pytest.raises(ImageError, match=problem):
        codec.reencode(data, max_size=None, channels=5, encode="png", quality=9)


def test_a_damaged_file_of_channels_is_not_blamed_on_its_compression() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 80, 5), dtype=np.uint8)
    tifffile.imwrite(file := io.BytesIO(), pixels, photometric="minisblack", compression="zlib")
    data = bytearray(file.getvalue())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    with pytest.raises(ImageError) as caught:
        codec.reencode(bytes(data), max_size=None, channels=5, encode="png", quality=9)
    assert "not supported" not in str(caught.value)
