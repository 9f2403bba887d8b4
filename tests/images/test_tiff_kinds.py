"""TIFF files of all kinds have the pixels that the library which wrote them reads."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from podium.images import codec, decoders
from podium.images.decoded import ImageError

HEIGHT, WIDTH = 24, 32
COMPRESSIONS = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"]
WHITE_IS_0, BLACK_IS_0 = 0, 1


def random(*shape: int, top: int = 256, kind: str = "u1") -> np.ndarray:
    return np.random.default_rng(0).integers(0, top, (HEIGHT, WIDTH, *shape)).astype(kind)


def by_pillow(images: list[Image.Image], compression: str, colors: int | None = None) -> bytes:
    """A file of one or several pages; `colors` is the photometric interpretation."""
    options: dict[str, Any] = {} if colors is None else {"tiffinfo": {262: colors}}
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    images[0].save(file := io.BytesIO(), "TIFF", compression=compression, **options)
    return file.getvalue()


def of_few_bits(values: np.ndarray, bits: int, colors: int, pages: int) -> bytes:
    """An uncompressed file of pages of `values` below 2**bits, which no library here writes."""
    cells = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :]
    pixels = np.packbits(cells.reshape(HEIGHT, -1), axis=1).tobytes()
    size = 2 + 12 * 9 + 4
    data = b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        start = len(data)
        tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: colors, 273: start + size,
                277: 1, 278: HEIGHT, 279: len(pixels)}  # fmt: skip
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        after = start + size + len(pixels) if page < pages - 1 else 0
        data += struct.pack("<H", len(tags)) + entries + struct.pack("<I", after) + pixels
    return data


def gray(pixels: np.ndarray) -> np.ndarray:
    """[H, W] of gray RGB pixels."""
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def channels_of(data: bytes, count: int) -> np.ndarray:
    """The pixels that are stored with `prepare.channels`."""
    return codec.decode(data, channels=count)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("colors", [WHITE_IS_0, BLACK_IS_0])
@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_is_what_pillow_reads(mode: str, colors: int, compression: str) -> None:
    values = random() if mode == "L" else (random() > 127).astype("u1") * 255
    pages = [Image.fromarray(np.roll(values, k, 0)).convert(mode) for k in range(4)]
    with Image.open(io.BytesIO(data := by_pillow(pages[:1], compression, colors))) as image:
        assert image.tag_v2[262] == colors and np.array_equal(image.convert("L"), values)
    assert np.array_equal(gray(codec.decode(data)), values)
    data = by_pillow(pages, compression, colors)
    assert np.array_equal(gray(codec.decode(data)), values)
    expected = np.stack([page.convert("L") for page in pages], axis=2)
    assert np.array_equal(channels_of(data, 4), expected)


@pytest.mark.parametrize("compression", COMPRESSIONS[:4])
@pytest.mark.parametrize("colors", [WHITE_IS_0, BLACK_IS_0])
def test_16_bits_are_what_pillow_reads_and_inverted_if_white_is_0(
    colors: int, compression: str
) -> None:
    """Pillow does not invert them, neither when it writes nor when it reads."""
    values = random(top=65_536, kind="u2")
    pages = [Image.fromarray(np.roll(values, k, 0)) for k in range(4)]
    expected = np.stack([np.roll(values, k, 0) for k in range(4)], axis=2)
    if colors == WHITE_IS_0:
        expected = 65_535 - expected
    data = by_pillow(pages[:1], compression, colors)
    assert np.array_equal(decoders.decode(data).pixels, expected[..., 0])
    data = by_pillow(pages, compression, colors)
    assert np.array_equal(decoders.decode(data).pixels, expected[..., 0])
    assert np.array_equal(decoders.decode_channels(data).pixels, expected)


@pytest.mark.parametrize("colors", [WHITE_IS_0, BLACK_IS_0])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_few_bits_are_what_pillow_reads(bits: int, colors: int) -> None:
    data = of_few_bits(random(top=2**bits), bits, colors, pages=4)
    with Image.open(io.BytesIO(data)) as image:
        values = np.asarray(image.convert("L"))
    assert (values.min(), values.max()) == (0, 255)
    assert np.array_equal(gray(codec.decode(data)), values)
    assert np.array_equal(channels_of(data, 4), np.dstack([values] * 4))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK", "YCbCr", "LAB"])
def test_colors_are_what_pillow_reads(mode: str, compression: str) -> None:
    data = by_pillow([Image.fromarray(random(3)).convert(mode)], compression)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(codec.decode(data), image.convert("RGB"))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "f4"])
@pytest.mark.parametrize("count", [3, 4, 5])
def test_colors_are_what_tifffile_reads(
    count: int, kind: str, planes: str, compression: str | None
) -> None:
    """OpenCV reads the planes of more than 8 bits without an error, but as garbage."""
    values = random(count, top=120, kind=kind)
    written = values if planes == "contig" else np.moveaxis(values, 2, 0)
    options: dict[str, Any] = {"photometric": "rgb", "extrasamples": ["unassalpha"] * (count - 3)}
    tifffile.imwrite(
        file := io.BytesIO(), written, planarconfig=planes, compression=compression, **options
    )
    data = file.getvalue()
    assert np.array_equal(tifffile.imread(io.BytesIO(data)), written)
    assert np.array_equal(decoders.decode_channels(data).pixels, values)
    if count < 5 and not (kind == "i1" and planes == "contig"):
        assert np.array_equal(decoders.decode(data).pixels, values)
    elif count == 5:
        with pytest.raises(ImageError, match=r"5 channels .*Set prepare\.channels: 5"):
            codec.decode(data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_no_kind_of_file_that_is_too_large_is_another_error(channels: int) -> None:
    small, large = (Image.new("L", (side, side)) for side in (40, 400))
    files = [by_pillow(pages, "tiff_lzw") for pages in ([large], [large] * 2, [large, small])]
    files += [of_few_bits(random(), 8, BLACK_IS_0, pages) for pages in (1, 4)]
    for mode in ("RGB", "RGBA", "LA", "CMYK"):
        files.append(by_pillow([large.convert(mode)], "tiff_lzw"))
    for data in files:
        with pytest.raises(ImageError, match=r"too large: .* pixels\. Set prepare\.max_megapixels"):
            codec.decode(data, channels=channels, max_megapixels=0.0005)
        with pytest.raises(ImageError, match="too large"):
            codec.look(data, max_megapixels=0.0005)
