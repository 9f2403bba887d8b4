"""Change the colors of batches of images with torch, as albumentations does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from podium.training.batch_resize import send

GRAY = (0.299, 0.587, 0.114)  # of RGB, as OpenCV has it


def jitter(images: Tensor, params: Sequence[dict[str, Any]]) -> Tensor:
    """ColorJitter: images [B, size, size, 3] from 0 to 255, each with its own factors and order."""
    names = ("brightness", "contrast", "saturation", "hue")
    factors = np.array([[values[name] for name in names] for values in params], np.float32)
    orders = np.array([values["order"] for values in params])
    on_device = send(factors, images.device)
    images = images.clone()
    for step in range(len(names)):
        for number, name in enumerate(names):
            chosen = np.flatnonzero(orders[:, step] == number)
            if len(chosen):
                rows = send(chosen, images.device)
                factor = on_device[rows, number].view(-1, 1, 1, 1)
                images.index_copy_(0, rows, ADJUST[name](images[rows], factor))
    return images


def brightness_contrast(images: Tensor, params: Sequence[dict[str, Any]]) -> Tensor:
    """RandomBrightnessContrast: images [B, size, size, C], times alpha plus beta each."""
    values = np.array([(drawn["alpha"], drawn["beta"]) for drawn in params], np.float32)
    alpha, beta = send(values, images.device).T[:, :, None, None, None]
    return (images * alpha + beta).clamp(0, 255)


def _gray(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=-1)
    return GRAY[0] * red + GRAY[1] * green + GRAY[2] * blue


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp(0, 255)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    mean = _gray(images).mean(dim=(1, 2, 3), keepdim=True)
    return (images * factor + mean * (1 - factor)).clamp(0, 255)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor + _gray(images) * (1 - factor)).clamp(0, 255)


def _hue(images: Tensor, factor: Tensor) -> Tensor:
    """Turn the hue of HSV by a share of the circle."""
    high, low = images.amax(dim=-1, keepdim=True), images.amin(dim=-1, keepdim=True)
    chroma = high - low
    red, green, blue = (images / chroma.clamp(min=1e-6)).split(1, dim=-1)
    sixths = torch.where(
        images[..., :1] == high,
        green - blue,
        torch.where(images[..., 1:2] == high, 2 + blue - red, 4 + red - green),
    )
    sixths = torch.where(chroma > 0, sixths, 0) + 6 * factor
    # Each channel as a function of the hue: https://en.wikipedia.org/wiki/HSL_and_HSV
    shifts = torch.tensor([5.0, 3.0, 1.0]).to(images.device, non_blocking=True)
    k = (shifts + sixths) % 6
    return high - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


ADJUST = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}


def fill_holes(images: Tensor, holes: Sequence[np.ndarray], fill: Any) -> Tensor:
    """CoarseDropout: fill rectangles of images [B, size, size, C]. `holes`: of each image, [N, 4]
    with left, top, right and bottom.
    """
    boxes = np.zeros((max(map(len, holes)), len(holes), 4), np.int64)  # an empty one fills nothing
    for number, rectangles in enumerate(holes):
        boxes[: len(rectangles), number] = rectangles
    steps = torch.arange(images.shape[1], device=images.device)
    filled = torch.zeros(images.shape[:3], dtype=torch.bool, device=images.device)
    for box in send(boxes, images.device):
        left, top, right, bottom = box.T[:, :, None]
        columns, rows = (steps >= left) & (steps < right), (steps >= top) & (steps < bottom)
        filled |= rows[:, :, None] & columns[:, None, :]
    color = send(np.broadcast_to(np.float32(fill), images.shape[3]).copy(), images.device)
    return torch.where(filled[..., None], color, images)
