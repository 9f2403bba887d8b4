"""Test-time augmentation: a fixed list of views of a batch, so inference is deterministic."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CROP = 0.875  # of the side; the usual ratio of 224 to 256 pixels


def _crop(top: float, left: float) -> Callable[[Tensor], Tensor]:
    """The view of a crop whose free space lies above it by `top` and left of it by `left`."""

    def view(images: Tensor) -> Tensor:
        size = images.shape[-1]
        side = round(size * CROP)
        y, x = round((size - side) * top), round((size - side) * left)
        # Channel by channel: a CPU takes twice as long where they alternate.
        part = images[:, :, y : y + side, x : x + side].contiguous()
        whole = F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False)
        return whole.contiguous(memory_format=torch.channels_last)

    return view


# Each takes and gives images [B, 3, size, size].
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
