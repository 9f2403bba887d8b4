"""Images in a page: small JPEGs in data URIs, with a heat map over them."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from podium.images import channels, resizing
from podium.images.store import ImageStore

SIDE = 176  # pixels of the longer side
QUALITY = 75
MAX_IMAGES = 4  # of an id with several


def of_unit(store: ImageStore, images: Sequence[str]) -> list[tuple[str, str]]:
    """The first of one id's images: data URI and name of each."""
    return [(thumbnail(store.decode(image)), image) for image in images[:MAX_IMAGES]]


def grid(images: Sequence[np.ndarray], columns: int, *, side: int) -> str:
    """The data URI of a grid of images, uint8 [H, W, C], each cropped to its center square and
    resized to `side` pixels.
    """
    rows = -(-len(images) // columns)
    canvas = np.full((rows * side, min(columns, len(images)) * side, 3), 255, np.uint8)
    for number, pixels in enumerate(images):
        square = resizing.resize_square(channels.as_rgb(pixels), side - 2, "crop")
        top, left = number // columns * side, number % columns * side
        canvas[top : top + side - 2, left : left + side - 2] = square
    return thumbnail(canvas, side=max(canvas.shape))


def thumbnail(pixels: np.ndarray, heat: np.ndarray | None = None, *, side: int = SIDE) -> str:
    """The data URI of an image, uint8 [H, W, C], with the heat map [h, w] (0 to 1) over it; its
    longer side has at most `side` pixels.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(channels.as_rgb(pixels), size, interpolation=cv2.INTER_AREA)
    if heat is not None:
        large = cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        levels = (255 * large.clip(0, 1)).astype(np.uint8)
        colors = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
        small = cv2.addWeighted(small, 0.5, colors, 0.5, 0)
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
