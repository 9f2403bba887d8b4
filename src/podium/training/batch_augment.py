"""Augmentation of whole batches by torch, on the device that trains.

albumentations draws the parameters of every image, as for `augment`: with the same key an image is
cropped, turned and colored as on the CPU, up to rounding. What needs the pixels runs here.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from podium.core.errors import UserError
from podium.images.augment import Augmentation
from podium.training import batch_color, batch_resize
from podium.training.batch_resize import Axis

CROPS = ("RandomResizedCrop", "RandomSizedCrop", "Resize")
WARPS = ("Affine", "Rotate", "ShiftScaleRotate")
COLORS = {
    "ColorJitter": batch_color.jitter,
    "RandomBrightnessContrast": batch_color.brightness_contrast,
}
NAMES = (*CROPS, *WARPS, *COLORS, "HorizontalFlip", "VerticalFlip", "CoarseDropout")


class Draw(NamedTuple):
    """What happens to one image."""

    rows: Axis
    columns: Axis
    params: list[dict[str, Any] | None]  # of the transforms after resizing; None: not applied


class BatchAugmentation:
    """Turns stored images into square ones, like `Augmentation`, but a batch at a time."""

    def __init__(self, augmentation: Augmentation) -> None:
        """Use the transforms of `augmentation`.

        Raises:
            UserError: if they cannot run in batches.
        """
        if problem := unsupported(augmentation):
            raise UserError(
                f"augment: {problem} is not possible with augment_on: gpu. Set augment_on: auto, "
                "which then uses the CPU."
            )
        self.augmentation, self.size = augmentation, augmentation.size
        transforms = augmentation.transforms
        self._crop = None if augmentation.resizes_first else transforms[0]
        self._rest = transforms if self._crop is None else transforms[1:]

    def draw(self, height: int, width: int, key: bytes) -> Draw:
        """Draw the parameters for an image of `height` x `width` pixels, from 16 bytes."""
        augmentation, size = self.augmentation, self.size
        if augmentation.is_random:
            augmentation.begin(key)
        if self._crop is None:
            how = augmentation.resize_mode
            rows, columns = batch_resize.square(height, width, size, how)
        else:
            rows, columns = _window(_params(self._crop, height, width), height, width, size)
        params = [
            _params(t, size, size) if t.should_apply() else None for t in self._rest
        ]  # in the order of albumentations' Compose, which draws from one generator
        return Draw(rows, columns, params)

    @torch.no_grad()
    def apply(self, pixels: Tensor, first: Sequence[int], widths: Sequence[int],
              draws: Sequence[Draw]) -> Tensor:  # fmt: skip
        """Augment a batch.

        Args:
            pixels: uint8 [P, C] on the device, images one after another.
            first: the position of each image's first pixel.
            widths: of each image.
            draws: of each image.

        Returns:
            float32 [B, size, size, C] on the device, from 0 to 255.
        """
        images = batch_resize.resize(
            pixels,
            first,
            widths,
            [draw.rows for draw in draws],
            [draw.columns for draw in draws],
            self.size,
        )
        for number, transform in enumerate(self._rest):
            params = [draw.params[number] for draw in draws]
            changed = [row for row, values in enumerate(params) if values is not None]
            if changed:
                rows = batch_resize.send(np.array(changed), images.device)
                applied = self._apply(transform, images[rows], [params[row] for row in changed])
                images.index_copy_(0, rows, applied)
        return images

    def _apply(self, transform: Any, images: Tensor, params: list[Any]) -> Tensor:
        """Apply a transform to images [N, size, size, C], each with its own parameters."""
        name, size = _name(transform), self.size
        if name in CROPS:
            windows = [_window(values, size, size, size) for values in params]
            first = [row * size * size for row in range(len(images))]
            rows, columns = ([window[axis] for window in windows] for axis in (0, 1))
            pixels = images.reshape(-1, images.shape[-1])
            return batch_resize.resize(pixels, first, [size] * len(images), rows, columns, size)
        if name == "HorizontalFlip":
            return images.flip(2)
        if name == "VerticalFlip":
            return images.flip(1)
        if name in COLORS:
            return COLORS[name](images, params)
        if name == "CoarseDropout":
            holes = [values["holes"] for values in params]
            return batch_color.fill_holes(images, holes, transform.fill)
        return batch_resize.warp(images, [v["matrix"] for v in params], transform.fill)


def unsupported(augmentation: Augmentation) -> str:
    """Which transform cannot run in batches, and why; "" if all can."""
    size, channels = augmentation.size, augmentation.channels
    problems = (_problem(transform, size, channels) for transform in augmentation.transforms)
    return next(filter(None, problems), "")


def _problem(transform: Any, size: int, channels: int) -> str:
    name = _name(transform)
    if name not in NAMES:
        return f"the transform {name}"
    output = (getattr(transform, "height", size), getattr(transform, "width", size))
    changes_size = getattr(transform, "fit_output", False) or getattr(transform, "crop_border", 0)
    checks = {
        f"p: {transform.p:g}": name in CROPS and transform.p < 1,
        "the size": name in CROPS and getattr(transform, "size", output) != (size, size),
        "the interpolation": name in WARPS and transform.interpolation != cv2.INTER_LINEAR,
        "the border_mode": name in WARPS and transform.border_mode != cv2.BORDER_CONSTANT,
        "the changed size": bool(changes_size),
        "the fill": isinstance(getattr(transform, "fill", 0), str),
        f"the {channels} channels": name == "ColorJitter" and channels != 3,
        "brightness_by_max: false": not getattr(transform, "brightness_by_max", True),
    }
    return next((f"{problem} of {name}" for problem, applies in checks.items() if applies), "")


def _name(transform: Any) -> str:
    return str(type(transform).__name__)


def _params(transform: Any, height: int, width: int) -> dict[str, Any]:
    """Draw a transform's parameters, as albumentations' `BasicTransform.__call__` does."""
    data = {"image": np.broadcast_to(np.uint8(0), (height, width, 3))}  # only its shape is used
    params = transform.update_transform_params(params=transform.get_params(), data=data)
    return {**params, **transform.get_params_dependent_on_data(params=params, data=data)}


def _window(params: dict[str, Any], height: int, width: int, size: int) -> tuple[Axis, Axis]:
    left, top, right, bottom = params.get("crop_coords", (0, 0, width, height))
    return Axis(top, bottom - top, size, 0), Axis(left, right - left, size, 0)
