"""Transforms of albumentations that resize images as validation does.

With the library's default, bilinear interpolation, training would see aliased images, and
validation others. Imported by `augment` alone, since importing albumentations takes time.
"""

from typing import Any

import albumentations
import numpy as np

from podium.images import resizing


class _ResizedCrop:
    size: tuple[int, int]

    def apply(
        self, img: np.ndarray, crop_coords: tuple[int, int, int, int], **_: object
    ) -> np.ndarray:
        left, top, right, bottom = crop_coords
        return resizing.resize(img[top:bottom, left:right], *self.size)


class RandomResizedCrop(_ResizedCrop, albumentations.RandomResizedCrop):
    """See `albumentations.RandomResizedCrop`."""


class RandomSizedCrop(_ResizedCrop, albumentations.RandomSizedCrop):
    """See `albumentations.RandomSizedCrop`."""


class Resize(albumentations.Resize):
    """See `albumentations.Resize`."""

    def apply(self, img: np.ndarray, **_: object) -> np.ndarray:
        return resizing.resize(img, self.height, self.width)


SAME_ARGUMENTS: dict[str, Any] = {
    kind.__name__: kind for kind in (RandomResizedCrop, RandomSizedCrop, Resize)
}
