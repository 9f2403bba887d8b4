import io
import tracemalloc
import warnings
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, TiffTags

from podium.images import codec, decoders, resizing, upright
from podium.images.decoded import Decoded, ImageError

RAMP = np.linspace(0, 255, 40)
SCENE = np.stack(  # a smooth image, which JPEG preserves: uint8 [30, 40, 3]
    np.broadcast_arrays(RAMP, RAMP[:30, None], 128), axis=2
).astype(np.uint8)
GRAY = SCENE[..., 0]
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def file(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """An image file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rotated(kind: str) -> bytes:
    """SCENE as an upright camera stores it: rotated, with EXIF orientation 6."""
    exif = Image.Exif()
    exif[upright.ORIENTATION] = 6
    return file(np.ascontiguousarray(np.rot90(SCENE)), kind, exif=exif)


def store(data: bytes, **options: Any) -> bytes:
    options = {"max_size": None, "encode": "png", "quality": 95, **options}
    return codec.reencode(data, **options)[0]


def difference(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


PNG, JPEG = file(SCENE, "PNG"), file(SCENE, "JPEG", quality=95)
PLAIN = {"rgb png": PNG, "gray png": file(GRAY, "PNG"), "jpeg": JPEG, "gray": file(GRAY, "JPEG")}
OTHERS = {
    "rgba": file(np.dstack([SCENE, GRAY]), "PNG"),
    "palette": file(Image.fromarray(SCENE).quantize(16), "PNG"),
    "transparent color": file(SCENE, "PNG", transparency=(0, 0, 128)),
    "rotated": rotated("JPEG"),
    "rotated png": rotated("PNG"),
    "cmyk": file(Image.fromarray(SCENE).convert("CMYK"), "JPEG"),
    "bytes after the end": JPEG + b"\0\0",
    "webp": file(SCENE, "WEBP"),
    "gif": file(SCENE, "GIF"),
    "bmp": file(SCENE, "BMP"),
}
BROKEN = {
    "jpeg cut in half": JPEG[: len(JPEG) * 3 // 4],
    "jpeg without its end": JPEG[:-2],
    "png cut in half": PNG[: len(PNG) // 2],
    "png without its end": PNG[:-12],
    "png with a wrong checksum": PNG[:-14] + bytes([PNG[-14] ^ 1]) + PNG[-13:],
    "nothing": b"",
    "text": b"<html>404</html>" * 20,
}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_files_decode_to_the_pixels_that_they_hold(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(codec.decode(file(SCENE, kind, **options)), SCENE)


def test_a_jpeg_decodes_in_the_order_red_green_blue() -> None:
    assert difference(codec.decode(JPEG), SCENE) <= 6


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_is_decoded(kind: str) -> None:
    first, second = (Image.new("RGB", (9, 5), color) for color in (RED, BLUE))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file(first, kind, save_all=True, append_images=[second], **options)
    pixels = codec.decode(data)
    assert pixels.shape == (5, 9, 3)
    assert (pixels == RED).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_gray_gets_three_equal_channels(kind: str) -> None:
    pixels = codec.decode(file(GRAY, kind, **({"quality": 100} if kind == "JPEG" else {})))
    assert all(difference(pixels[..., channel], GRAY) <= 1 for channel in range(3))


def test_black_and_white_becomes_0_and_255() -> None:
    bits = GRAY > 100
    assert np.array_equal(codec.decode(file(bits, "PNG"))[..., 1], bits * np.uint8(255))


def test_transparent_pixels_are_laid_on_white() -> None:
    black = np.zeros((1, 3, 4), np.uint8)
    black[0, :, 3] = 0, 51, 255  # alpha
    assert codec.decode(file(black, "PNG"))[0].tolist() == [[255] * 3, [204] * 3, [0] * 3]
    gray = black[..., 2:]  # [1, 3, 2]: gray and alpha
    assert codec.decode(file(gray, "PNG"))[0].tolist() == [[255] * 3, [204] * 3, [0] * 3]


def test_a_palette_becomes_its_colors() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert codec.decode(file(image, "PNG"))[0].tolist() == [list(RED), list(BLUE)]
    transparent = file(image, "PNG", transparency=0)
    assert codec.decode(transparent)[0].tolist() == [list(WHITE), list(BLUE)]


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    """An image file as OpenCV writes it."""
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
    return cv2.imencode(suffix, pixels)[1].tobytes()


TWELVE_BITS = np.arange(4096, dtype=np.uint16).reshape(64, 64)
COLORED = np.dstack([TWELVE_BITS, TWELVE_BITS.T, TWELVE_BITS[::-1]])
UNIT = (TWELVE_BITS / 4095).astype(np.float32)
WIDE: dict[str, tuple[bytes, np.ndarray]] = {
    "12 bits in a PNG": (file(TWELVE_BITS, "PNG"), TWELVE_BITS),
    "16 bits in a PNG": (file(TWELVE_BITS * 16, "PNG"), TWELVE_BITS * 16),
    "colored PNG": (encoded(COLORED, ".png"), COLORED),
    "gray TIFF": (file(TWELVE_BITS, "TIFF"), TWELVE_BITS),
    "compressed TIFF": (file(TWELVE_BITS, "TIFF", compression="tiff_lzw"), TWELVE_BITS),
    "colored TIFF": (encoded(COLORED, ".tif"), COLORED),
    "signed TIFF": (encoded(TWELVE_BITS.astype(np.int16) - 2000, ".tif"), TWELVE_BITS - 2000.0),
    "32-bit TIFF": (file(TWELVE_BITS.astype(np.int32) - 9, "TIFF"), TWELVE_BITS - 9.0),
    "float TIFF": (file(UNIT, "TIFF"), UNIT),
    "PGM": (encoded(TWELVE_BITS, ".pgm"), TWELVE_BITS),
    "PPM": (encoded(COLORED, ".ppm"), COLORED),
}


@pytest.mark.parametrize("kind", WIDE)
def test_more_than_8_bits_are_scaled_from_a_range(kind: str) -> None:
    data, values = WIDE[kind]
    low, high = float(values.min()), float(values.max())
    with pytest.raises(codec.UnscaledError) as caught:
        store(data)
    assert caught.value.value_range == (low, high)
    for value_range in ((low, high), (low, high / 2), (low - 1, 3 * high)):
        pixels = codec.decode(data, value_range=value_range)
        scaled = (values.astype(float) - value_range[0]) / (value_range[1] - value_range[0]) * 255
        expected = np.clip(scaled, 0, 255)
        expected = expected if values.ndim == 3 else np.dstack([expected] * 3)
        assert pixels.dtype == np.uint8 and np.abs(pixels - expected).max() < 0.51
        assert np.array_equal(codec.decode_stored(store(data, value_range=value_range)), pixels)
        assert store(data, value_range=value_range, encode="original") == data
    assert np.array_equal(codec.decode(data), codec.decode(data, value_range=(low, high)))


def test_tiff_tags_unknown_to_opencv_cause_no_warning(capfd: pytest.CaptureFixture) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags.tagtype[33550] = (1.0, 1.0, 0.0), TiffTags.DOUBLE  # as in a GeoTIFF
    codec.decode(file(TWELVE_BITS, "TIFF", tiffinfo=tags))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", WIDE)
def test_files_with_more_than_8_bits_that_are_cut_short_are_an_error(kind: str) -> None:
    data = WIDE[kind][0]
    with pytest.raises(ImageError):
        codec.decode(data[: len(data) * 3 // 4])


def test_the_whole_range_of_16_bits_is_scaled_as_257_steps() -> None:
    values = np.array([[0, 128, 129, 300, 128 * 257, 65535]], np.uint16)
    pixels = codec.decode(file(values, "PNG"), value_range=(0, 65535))
    assert pixels[0].tolist() == [[value] * 3 for value in (0, 0, 1, 1, 128, 255)]


def test_16_bits_with_alpha_are_laid_on_white() -> None:
    black = np.zeros((1, 3, 4), np.uint16)
    black[0, :, 3] = 0, 51 * 257, 65535
    pixels = codec.decode(encoded(black, ".png"), value_range=(0, 4095))
    assert pixels[0].tolist() == [[255] * 3, [204] * 3, [0] * 3]


def test_floats_of_a_decoder_are_opaque_at_1(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((1, 3, 4), 0.2, np.float32)
    pixels[0, :, 3] = 0, 0.5, 1  # alpha
    decoder = decoders.Decoder((), lambda _: True, lambda *_: Decoded(pixels))
    monkeypatch.setitem(decoders.DECODERS, "mine", decoder)
    decoded = codec.decode(b"", value_range=(0, 1))
    assert decoded[0, :, 0].tolist() == [255, 153, 51]


def test_a_value_that_is_not_finite_is_black_or_white_and_no_bound() -> None:
    values = np.array([[np.nan, -np.inf, 1, 2, np.inf]], np.float32)
    assert codec.decode(file(values, "TIFF"))[0, :, 0].tolist() == [0, 0, 0, 255, 255]
    with pytest.raises(ImageError, match="finite"):
        codec.decode(file(values[:, :2], "TIFF"))


def test_a_constant_image_is_black() -> None:
    assert not codec.decode(file(np.full((3, 3), 700, np.uint16), "PNG")).any()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_turned_upright_as_8_are(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[upright.ORIENTATION] = orientation
    expected = codec.decode(file(GRAY, kind, exif=exif))
    wide = file(GRAY.astype(np.uint16) * 257, kind, exif=exif)
    assert np.array_equal(codec.decode(wide, value_range=(0, 65535)), expected)


@pytest.mark.parametrize(("orientation", "shape"), [(9, (15, 20, 3)), (6, (20, 15, 3))])
def test_an_orientation_that_opencv_does_not_know_keeps_the_aspect_ratio(
    orientation: int, shape: tuple[int, ...]
) -> None:
    """EXIF has eight; in XMP metadata only Pillow looks for it."""
    if orientation == 9:
        exif = Image.Exif()
        exif[upright.ORIENTATION] = orientation
        data = file(SCENE, "JPEG", exif=exif)
    else:
        data = file(SCENE, "JPEG", xmp=b'<x tiff:Orientation="6"/>')
    assert codec.decode_stored(store(data, max_size=15)).shape == shape
    assert codec.decode(data).shape[:2] == tuple(2 * side for side in shape[:2])


def test_a_cmyk_jpeg_looks_as_pillow_shows_it() -> None:
    data = file(Image.fromarray(SCENE).convert("CMYK"), "JPEG", quality=95)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert difference(codec.decode(data), shown) <= 1
    assert difference(codec.decode(data), SCENE) <= 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_exif_orientation_is_applied(kind: str) -> None:
    data = rotated(kind)
    tolerance = 0 if kind in ("PNG", "TIFF") else 16
    assert difference(codec.decode(data), SCENE) <= tolerance
    stored = store(data)
    assert difference(codec.decode_stored(stored), SCENE) <= tolerance
    assert upright.ORIENTATION not in Image.open(io.BytesIO(stored)).getexif()


@pytest.mark.parametrize("encode", ["jpeg", "png", "original"])
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_images_are_an_error(broken: str, encode: str) -> None:
    with pytest.raises(ImageError) as caught:
        store(BROKEN[broken], encode=encode)
    assert str(caught.value)


def test_the_error_says_whether_there_is_anything_at_all() -> None:
    with pytest.raises(ImageError, match="an empty file"):
        codec.decode(b"")
    with pytest.raises(ImageError, match="not an image"):
        codec.decode(BROKEN["text"])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_image_of_more_megapixels_than_allowed_is_an_error(kind: str) -> None:
    data = file(SCENE, kind)  # of 1,200 pixels
    assert codec.decode(data, max_megapixels=0.0012).shape == SCENE.shape
    with pytest.raises(ImageError, match=r"too large: 1200 pixels.*prepare\.max_megapixels"):
        codec.decode(data, max_megapixels=0.0011)


@pytest.mark.parametrize("data", [PNG, file(GRAY, "PNG")], ids=["rgb", "gray"])
def test_no_damaged_png_is_stored_that_cannot_be_decoded_later(data: bytes) -> None:
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]):
            try:
                stored = store(damaged)
            except ImageError:
                continue
            assert at >= len(data) - 12  # in the last chunk, which contains no pixels
            assert np.array_equal(codec.decode_stored(stored), codec.decode(data))


def test_what_opencv_cannot_decode_is_an_error() -> None:
    with pytest.raises(ImageError):
        codec.decode_stored(b"not an image")


@pytest.mark.parametrize("encode", ["jpeg", "png"])
@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_image_is_stored_byte_for_byte(kind: str, encode: str) -> None:
    data = PLAIN[kind]
    assert store(data, encode=encode) == data
    assert store(data, encode=encode, max_size=30) == data
    assert np.array_equal(codec.decode_stored(data), codec.decode(data))


@pytest.mark.parametrize("kind", OTHERS)
def test_any_other_image_is_stored_as_a_plain_one_of_the_same_pixels(kind: str) -> None:
    pixels = codec.decode(OTHERS[kind])
    png = store(OTHERS[kind])
    assert png.startswith(b"\x89PNG")
    assert np.array_equal(codec.decode_stored(png), pixels)
    jpeg = store(OTHERS[kind], encode="jpeg")
    assert jpeg.startswith(b"\xff\xd8")
    assert codec.decode_stored(jpeg).shape == pixels.shape


def test_a_re_encoded_jpeg_looks_alike_and_has_the_quality_asked_for() -> None:
    data = file(SCENE, "BMP")
    good, poor = (store(data, encode="jpeg", quality=quality) for quality in (95, 20))
    assert difference(codec.decode_stored(good), SCENE) <= 6
    assert len(poor) < len(good)


@pytest.mark.parametrize("kind", [*PLAIN, *OTHERS])
def test_the_original_encoding_keeps_every_byte(kind: str) -> None:
    data = {**PLAIN, **OTHERS}[kind]
    assert store(data, encode="original") == data


def test_a_large_image_is_stored_downsized() -> None:
    pixels = codec.decode_stored(store(PNG, max_size=15))
    assert pixels.shape == (15, 20, 3)
    assert difference(pixels, resizing.resize(SCENE, 15, 20)) == 0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50), (20, 10)), ((50, 100), (10, 20)), ((33, 11), (30, 10)), ((999, 11), (908, 10))],
)
def test_downsizing_makes_the_shorter_side_max_size(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resizing.downsize(np.zeros((*shape, 3), np.uint8), 10).shape == (*expected, 3)


@pytest.mark.parametrize("max_size", [None, 30, 31])
def test_nothing_is_upsized_and_small_images_stay_as_they_are(max_size: int | None) -> None:
    assert resizing.downsize(SCENE, max_size) is SCENE


@pytest.mark.parametrize("shape", [(500, 1), (1, 500), (1, 1)])
def test_images_one_pixel_wide_are_stored_and_made_square(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 200, np.uint8)
    stored = codec.decode_stored(store(file(pixels, "BMP"), max_size=8))
    assert np.array_equal(stored, pixels)
    assert all(
        resizing.resize_square(stored, 32, how).shape == (32, 32, 3)
        for how in ("crop", "squash", "pad")
    )


@pytest.mark.parametrize("how", ["crop", "squash", "pad"])
@pytest.mark.parametrize("turn", [False, True])
def test_a_strip_is_made_square_without_a_detour_by_a_huge_one(how: str, turn: bool) -> None:
    strip = np.full((1, 60_000, 3), 200, np.uint8)
    strip[:, 29_998:30_002] = 100
    tracemalloc.start()
    square = resizing.resize_square(strip.swapaxes(0, 1) if turn else strip, 64, how)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert square.shape == (64, 64, 3)
    assert how != "crop" or (square == 100).all()
    assert peak < 10 * 2**20  # 64 x 3,840,000 pixels would be 700 MiB
    assert resizing.downsize(strip, 8).shape == (1, 60_000, 3)


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (2, 500)])
def test_the_crop_of_a_strip_is_that_of_the_whole_of_it(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    scale = 32 / min(shape)
    height, width = (round(side * scale) for side in shape)
    top, left = (height - 32) // 2, (width - 32) // 2
    whole = resizing.resize(pixels, height, width)[top : top + 32, left : left + 32]
    assert np.array_equal(resizing.resize_square(pixels, 32, "crop"), whole)


@pytest.mark.parametrize("encode", ["jpeg", "png"])
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_stored(kind: str, encode: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, BLUE, WHITE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    stored = codec.decode_stored(store(data, encode=encode))
    assert difference(stored, np.full((16, 16, 3), RED, np.uint8)) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("max_size", [64, None])
def test_a_hundred_megapixels_are_decoded_with_no_warning(kind: str, max_size: int | None) -> None:
    data = file(np.full((10_000, 10_000), 77, np.uint8), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = store(data, max_size=max_size)
    assert stored == data if max_size is None else len(stored) < 10_000
    pixels = codec.decode_stored(stored)
    assert pixels.shape[:2] == (max_size or 10_000,) * 2 and (pixels == 77).all()


def png_that_claims(width: int, height: int) -> bytes:
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + PNG[24:29]
    return PNG[:12] + header + zlib.crc32(header).to_bytes(4, "big") + PNG[33:]


@pytest.mark.parametrize("encode", ["png", "original"])
def test_more_pixels_than_pillow_takes_are_an_error(encode: str) -> None:
    with pytest.raises(ImageError, match=r"too large: .*324000000 pixels"):
        store(png_that_claims(18_000, 18_000), encode=encode)
    with pytest.raises(ImageError, match="too large: 1,500,000 pixels"):
        store(png_that_claims(1_500_000, 1), encode=encode)


def test_a_side_that_no_jpeg_can_have_is_an_error() -> None:
    data = file(np.zeros((1, 70_000, 3), np.uint8), "BMP")
    with pytest.raises(ImageError, match=r"too large: 70,000 pixels .*, the maximum is 65,500"):
        store(data, encode="jpeg")
    assert codec.decode_stored(store(data, encode="png")).shape == (1, 70_000, 3)


def test_damaged_metadata_causes_no_warning() -> None:
    exif = Image.Exif()
    exif[upright.ORIENTATION] = 1
    data = bytearray(file(SCENE, "JPEG", exif=exif))
    at = data.index(b"Exif") + 6
    data[at + 8 : at + 10] = b"\xff\xff"  # so many entries
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codec.decode_stored(store(bytes(data))).shape == SCENE.shape


@pytest.mark.parametrize(("size", "side"), [(None, 64), (224, 224)])
def test_a_blank_image_is_a_black_square(size: int | None, side: int) -> None:
    pixels = codec.decode_stored(codec.black_png(size))
    assert pixels.shape == (side, side, 3) and not pixels.any()


@pytest.mark.parametrize("pixels", [SCENE, GRAY])
def test_a_png_of_pixels_holds_them(pixels: np.ndarray) -> None:
    decoded = codec.decode_stored(codec.encode_png(pixels))
    assert np.array_equal(decoded if pixels.ndim == 3 else decoded[..., 0], pixels)


THIRDS = np.repeat(np.array([[RED, WHITE, BLUE]], np.uint8), 30, axis=0).repeat(30, axis=1)


@pytest.mark.parametrize("turn", [False, True])
def test_crop_keeps_the_centre(turn: bool) -> None:
    square = resizing.resize_square(THIRDS.swapaxes(0, 1) if turn else THIRDS, 12, "crop")
    assert square.shape == (12, 12, 3)
    assert (square == WHITE).all()


@pytest.mark.parametrize("turn", [False, True])
def test_squash_keeps_all_and_changes_the_aspect_ratio(turn: bool) -> None:
    square = resizing.resize_square(THIRDS.swapaxes(0, 1) if turn else THIRDS, 12, "squash")
    square = square.swapaxes(0, 1) if turn else square
    assert square.shape == (12, 12, 3)
    assert square[:, [0, 6, 11]].tolist() == [[list(RED), list(WHITE), list(BLUE)]] * 12


@pytest.mark.parametrize("turn", [False, True])
def test_pad_keeps_all_and_the_aspect_ratio_on_black(turn: bool) -> None:
    square = resizing.resize_square(THIRDS.swapaxes(0, 1) if turn else THIRDS, 12, "pad")
    square = square.swapaxes(0, 1) if turn else square
    assert square.shape == (12, 12, 3)
    assert square[4:8, [0, 6, 11]].tolist() == [[list(RED), list(WHITE), list(BLUE)]] * 4
    assert not square[:4].any()
    assert not square[8:].any()


@pytest.mark.parametrize(("width", "height"), [(1100, 800), (800, 1101), (431, 433), (2050, 2060)])
def test_a_large_jpeg_is_stored_at_its_size_and_looks_the_same(width: int, height: int) -> None:
    """Whether it was decoded whole, or at a part of its size."""
    large = cv2.resize(SCENE, (width, height), interpolation=cv2.INTER_CUBIC)
    data = file(large, "JPEG", quality=95)
    stored = codec.decode_stored(store(data, max_size=64))
    expected = resizing.downsize(codec.decode(data), 64)
    assert stored.shape == expected.shape and min(stored.shape[:2]) == 64
    assert difference(stored, expected) <= 3


@pytest.mark.parametrize(("enough", "size"), [(None, 800), (401, 800), (400, 400), (200, 200),
                                              (101, 200), (100, 100), (1, 100)])  # fmt: skip
def test_a_jpeg_is_decoded_no_larger_than_needed(enough: int | None, size: int) -> None:
    large = cv2.resize(SCENE, (1600, 800))
    pixels = decoders.decode(file(large, "JPEG"), enough).pixels
    assert pixels.shape == (size, 2 * size, 3)


def test_a_large_jpeg_that_is_turned_is_stored_upright() -> None:
    large = cv2.resize(SCENE, (1600, 800))
    exif = Image.Exif()
    exif[upright.ORIENTATION] = 6
    data = file(np.rot90(large), "JPEG", exif=exif, quality=95)
    stored = codec.decode_stored(store(data, max_size=64))
    assert stored.shape == (64, 128, 3)
    assert difference(stored, resizing.downsize(large, 64)) <= 6
