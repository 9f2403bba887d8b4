"""Random images with the statistics of photos: details at all scales."""

import cv2
import numpy as np

from podium.explore import features, image_stats
from podium.explore.features import Described


def photo(rng: np.random.Generator, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """An image with a spectrum of 1/f: uint8 [H, W, 3]."""
    height, width = size
    frequency = np.hypot(*np.meshgrid(np.fft.rfftfreq(width), np.fft.fftfreq(height)))
    frequency[0, 0] = np.inf
    channels = []
    base = rng.normal(size=(height, width))
    for _ in range(3):
        noise = base + 0.5 * rng.normal(size=(height, width))
        values = np.fft.irfft2(np.fft.rfft2(noise) / frequency, s=size)
        channels.append(values / values.std())
    pixels = 110 + 45 * np.stack(channels, axis=-1)
    return pixels.clip(0, 255).astype(np.uint8)


def photos(count: int, seed: int = 0, size: tuple[int, int] = (96, 128)) -> list[np.ndarray]:
    """Different images."""
    rng = np.random.default_rng(seed)
    return [photo(rng, size) for _ in range(count)]


def jpeg(pixels: np.ndarray, quality: int = 60) -> np.ndarray:
    """The pixels after JPEG compression."""
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


class Store:
    """Images in memory, as an `ImageSource`: the id is the position."""

    folder = None
    channels = 3

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images

    def decode(self, image: str) -> np.ndarray:
        return self.images[int(image)]


def described(images: list[np.ndarray]) -> Described:
    """The measurements and simple features of images."""
    store = Store(images)
    seen = image_stats.measure(store, [str(n) for n in range(len(images))])  # type: ignore[arg-type]
    return Described(seen, features.simple(seen))
