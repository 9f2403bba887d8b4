"""Decode image files to 8-bit pixels, RGB by default, and encode them for the store."""

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from podium.images import channels as of_channels
from podium.images import decoders, resizing
from podium.images.channels import UnscaledError
from podium.images.decoded import DECODER_ERRORS, MAX_SIDE, Decoded, ImageError, check_sides

BLACK_SIZE = 64  # pixels
MAX_MEGAPIXELS = 300  # by default
POSSIBLE_MEGAPIXELS = 1000  # a limit of OpenCV
MAX_SIDES = {"jpeg": 65_500, "png": MAX_SIDE}  # pixels: limits of OpenCV


def decode(
    data: bytes,
    *,
    channels: int = 3,
    value_range: Sequence[float] | None = None,
    is_detected: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """Decode an image file's first frame: uint8 [H, W, `channels`], by default RGB, upright.

    Grayscale images get three equal channels, transparent pixels are blended with white, CMYK and
    palettes are converted, and the EXIF orientation is applied. More than 8 bits per channel are
    scaled from `value_range` to 0..255; without one, from the range of this image, which suffices
    for a look at it. A range that `is_detected` is not for files that say how they are to be shown.
    With other than 3 `channels`, see `channels.convert`.

    Raises:
        ImageError: if the data is not an image, is incomplete, or has more than `max_megapixels`,
            or other channels.
    """
    decoded = _decode(data, None, max_megapixels, channels)
    try:
        return of_channels.convert(decoded, channels, value_range, is_detected)
    except UnscaledError as error:
        return of_channels.convert(decoded, channels, error.value_range)


def look(data: bytes, *, max_megapixels: float) -> tuple[np.ndarray, int]:
    """Decode an image of any number of channels to look at it: uint8 [H, W, 3], and the number of
    its channels without alpha.

    Raises:
        ImageError: as `decode`.
    """
    try:
        decoded = _decode(data, None, max_megapixels, channels=0)
    except ImageError:  # not all of its channels
        return decode(data, max_megapixels=max_megapixels), 3
    channels = of_channels.without_alpha(decoded.pixels)
    kept = 3 if channels in (1, 3) else channels
    try:
        pixels = of_channels.convert(decoded, kept, None)
    except UnscaledError as error:
        pixels = of_channels.convert(decoded, kept, error.value_range)
    return of_channels.as_rgb(pixels), channels


def decode_stored(data: bytes | memoryview, channels: int = 3) -> np.ndarray:
    """Decode what `reencode` returns, fast: uint8 [H, W, `channels`], upright.

    Raises:
        ImageError: if OpenCV cannot decode it.
    """
    color = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
    flags = color | cv2.IMREAD_IGNORE_ORIENTATION  # `decoders` has applied it
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError("not an image that OpenCV can decode")
    return pixels if channels == 3 else of_channels.from_planes(pixels, channels)


def reencode(
    data: bytes,
    *,
    max_size: int | None,
    encode: str,
    quality: int,
    channels: int = 3,
    value_range: Sequence[float] | None = None,
    is_detected: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[bytes, np.ndarray]:
    """Decode an image; return the bytes to store and the pixels in them: uint8 [H, W, `channels`].

    With `encode="original"` the bytes are unchanged. Otherwise `decode_stored` can read them: they
    are unchanged if possible and the shorter side has at most `max_size` pixels; if not, the image
    is scaled to 8 bits, as by `decode`, downsized and encoded by `encode_pixels`.

    Raises:
        ImageError: if it cannot be decoded, or has more than `max_megapixels` or other channels.
        UnscaledError: if it has more than 8 bits per channel and there is no `value_range`.
    """
    min_side = None if encode == "original" else max_size
    decoded = _decode(data, min_side, max_megapixels, channels)
    pixels = of_channels.convert(decoded, channels, value_range, is_detected)
    if encode == "original":
        return data, pixels
    height, width = decoded.full_size or pixels.shape[:2]
    small = resizing.downsize(pixels, max_size, of=(height, width))
    if decoded.is_plain and small.shape[:2] == (height, width) and channels in (1, 3):
        return data, small if channels == 3 else decode_stored(data, channels)
    return encode_pixels(small, encode=encode, quality=quality), small


def reencode_stack(
    files: Mapping[str, bytes],
    *,
    max_size: int | None,
    channels: int,
    value_range: Sequence[float] | None = None,
    is_detected: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[bytes, np.ndarray]:
    """Decode images by name and stack them in order: each becomes an equal share of the `channels`.
    Otherwise like `reencode`, but without loss.

    Raises:
        ImageError: as `reencode`; if the images have different sizes.
        UnscaledError: as `reencode`, with the range of all.
    """
    parts, sizes, ranges = list[np.ndarray](), dict[str, tuple[int, int]](), []
    for name, data in files.items():
        try:
            decoded = _decode(data, max_size, max_megapixels, channels // len(files))
            pixels = of_channels.convert(decoded, channels // len(files), value_range, is_detected)
        except ImageError as error:
            raise ImageError(f"{error} ({name})") from None
        except UnscaledError as error:
            ranges.append(error.value_range)
            continue
        sizes[name] = decoded.full_size or (pixels.shape[0], pixels.shape[1])
        parts.append(resizing.downsize(pixels, max_size, of=sizes[name]))
    if ranges:
        lows, highs = zip(*ranges, strict=True)
        raise UnscaledError((min(lows), max(highs)))
    if len({*sizes.values()}) > 1:
        shown = ", ".join(f"{width} x {height}" for height, width in dict.fromkeys(sizes.values()))
        raise ImageError(f"the stacked images have different sizes: {shown}")
    pixels = np.concatenate(parts, axis=2)
    return encode_pixels(pixels, encode="png", quality=0), pixels


def encode_pixels(pixels: np.ndarray, *, encode: str, quality: int) -> bytes:
    """Encode uint8 [H, W, C] for `decode_stored`: as JPEG or PNG, or if there are other than 1 or
    3 channels, without loss as the planes of a PNG file.

    Raises:
        ImageError: if the image is too large.
    """
    if pixels.shape[2] not in (1, 3):
        planes = of_channels.to_planes(pixels)
        check_sides(planes.shape, MAX_SIDES["png"])
        return _encode(".png", planes, [])
    check_sides(pixels.shape[:2], MAX_SIDES[encode])
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if encode == "jpeg" else []
    return _encode(".jpg" if encode == "jpeg" else ".png", pixels, options)


def checksum(pixels: np.ndarray) -> str:
    """A checksum of uint8 pixels and their shape, to find duplicate images."""
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:32]


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels as a PNG file: [H, W, 3], RGB, or [H, W], grayscale."""
    return _encode(".png", pixels, [])


def black_png(size: int | None, channels: int = 3) -> bytes:
    """Encode a black square of `size` pixels a side, or `BLACK_SIZE`, as a PNG file."""
    planes = 1 if channels == 3 else channels
    return encode_png(np.zeros((planes * (size or BLACK_SIZE), size or BLACK_SIZE), np.uint8))


def _encode(suffix: str, pixels: np.ndarray, options: list[int]) -> bytes:
    is_rgb = of_channels.count(pixels) == 3
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if is_rgb else pixels
    encoded, buffer = cv2.imencode(suffix, bgr, options)
    assert encoded
    return buffer.tobytes()


def _decode(data: bytes, min_side: int | None, max_megapixels: float, channels: int = 3) -> Decoded:
    Image.MAX_IMAGE_PIXELS = round(max_megapixels * 1e6 / 2)  # Pillow refuses twice as many
    try:
        with warnings.catch_warnings():
            # Pillow warns about damaged metadata, and about half the size that it refuses.
            warnings.simplefilter("ignore")
            if channels in (1, 3):
                return decoders.decode(data, min_side)
            return decoders.decode_channels(data)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"[\d,]+ pixels", str(error))
        size = pixels[0] if pixels else str(error)
        raise ImageError(
            f"too large: {size}. Set prepare.max_megapixels to allow more than {max_megapixels:g}"
        ) from None
    except UnidentifiedImageError:
        raise ImageError("not an image" if data else "an empty file") from None
    except DECODER_ERRORS as error:
        raise ImageError(str(error) or type(error).__name__) from None
