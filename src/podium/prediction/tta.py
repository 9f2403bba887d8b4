"""Test-time augmentation (TTA): deterministic views of a batch.

To add a view, add a function to `VIEWS`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CROP_RATIO = 0.875  # relative to the side: 224 of 256 pixels


def _crop(top: float, left: float) -> Callable[[Tensor], Tensor]:
    """An enlarged crop; `top` and `left` are the shares of the margin on these sides."""

    def view(images: Tensor) -> Tensor:
        size = images.shape[-1]
        side = round(size * CROP_RATIO)
        y, x = round((size - side) * top), round((size - side) * left)
        # On a CPU, interpolating channels-last memory takes twice as long.
        crop = images[:, :, y : y + side, x : x + side].contiguous()
        resized = F.interpolate(crop, size=(size, size), mode="bilinear", align_corners=False)
        return resized.contiguous(memory_format=torch.channels_last)

    return view


# Each maps images [B, 3, size, size] to the same shape.
VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda images: images,
    "hflip": lambda images: images.flip(-1),
    "vflip": lambda images: images.flip(-2),
    "rot90": lambda images: images.rot90(1, (-2, -1)),
    "rot180": lambda images: images.rot90(2, (-2, -1)),
    "rot270": lambda images: images.rot90(3, (-2, -1)),
    "crop_center": _crop(0.5, 0.5),
    "crop_top_left": _crop(0, 0),
    "crop_top_right": _crop(0, 1),
    "crop_bottom_left": _crop(1, 0),
    "crop_bottom_right": _crop(1, 1),
}
