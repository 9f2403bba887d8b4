"""Check that transforms of albumentations support images with other than three channels."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np

from podium.core.errors import UserError
from podium.images.augment import Augmentation

SIDE = 512  # pixels: larger than most crops
REJECTED = (ValueError, TypeError, LookupError, RuntimeError, AssertionError, cv2.error)


def check(augmentation: Augmentation) -> None:
    """Apply each transform, also of those inside others, to an RGB image and to one with the
    channels of the `augmentation`.

    Raises:
        UserError: naming the transforms that support the first one only.
    """
    channels = augmentation.channels
    if channels == 3:
        return
    names = dict.fromkeys(
        str(type(transform).__name__)
        for transform in _leaves(augmentation.transforms)
        if _works(transform, 3) and not _works(transform, channels)
    )
    if names:
        raise UserError(
            f"augment: {', '.join(names)} does not support images with {channels} channels "
            "(prepare.channels). Remove it."
        )


def _leaves(transforms: Iterable[Any]) -> Iterator[Any]:
    """The transforms that are not compositions (OneOf, SomeOf, Sequential, …)."""
    import albumentations  # takes a second

    for transform in transforms:
        if isinstance(transform, albumentations.BaseCompose):
            yield from _leaves(transform.transforms)
        else:
            yield transform


def _works(transform: Any, channels: int) -> bool:
    always = copy.deepcopy(transform)
    always.p = 1.0
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, channels), np.uint8)
    try:
        result = always(image=image)["image"]
    except REJECTED:
        return False
    return result.ndim == 3 and result.shape[2] == channels
