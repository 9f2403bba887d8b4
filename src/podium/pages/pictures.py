"""Images in a page: small JPEGs in data URIs, with a heat map over them."""

import base64

import cv2
import numpy as np

SIDE = 176  # pixels of the longer side
QUALITY = 75


def thumbnail(pixels: np.ndarray, heat: np.ndarray | None = None) -> str:
    """The data URI of an image, uint8 [H, W, 3], with the heat map [h, w] (0 to 1) over it."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if heat is not None:
        large = cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        levels = (255 * large.clip(0, 1)).astype(np.uint8)
        colors = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
        small = cv2.addWeighted(small, 0.5, colors, 0.5, 0)
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
