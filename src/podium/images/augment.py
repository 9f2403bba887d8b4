"""Augmentation from params: albumentations, as a function of (seed, epoch, image)."""

import inspect
import os
import random
from functools import cache
from typing import Any

import numpy as np

from podium.config.phases import Augment, Transform
from podium.core.errors import UserError, nearest
from podium.images import resizing

PRESETS: dict[str, list[Transform]] = {
    "none": [],
    "light": [
        {"RandomResizedCrop": {"scale": [0.6, 1.0]}},
        {"HorizontalFlip": {}},
    ],
    "medium": [
        {"RandomResizedCrop": {"scale": [0.35, 1.0]}},
        {"HorizontalFlip": {}},
        {"Rotate": {"limit": [-15, 15], "p": 0.5}},
        {"ColorJitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05}},
    ],
    "heavy": [
        {"RandomResizedCrop": {"scale": [0.2, 1.0]}},
        {"HorizontalFlip": {}},
        {"Affine": {"rotate": [-30, 30], "shear": [-10, 10], "p": 0.7}},
        {"ColorJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}},
        {
            "OneOf": {
                "transforms": [{"GaussianBlur": {}}, {"GaussNoise": {}}, {"ToGray": {}}],
                "p": 0.3,
            }
        },
        {"CoarseDropout": {"num_holes_range": [1, 4], "p": 0.5}},
    ],
}


class Augmentation:
    """Turns a stored image into a square one; what is random in it follows from a key alone."""

    def __init__(self, augment: Augment, *, size: int, resize_mode: str) -> None:
        """Build the transforms of params.yaml, or a preset, for images of `size` pixels a side.

        Without transforms the image is only made square, as for validation. Else it is made square
        (`fit`) first, unless the first transform does that itself, as
        RandomResizedCrop does. A transform that needs a size and is given none gets `size`.

        Raises:
            UserError: for a transform or argument that albumentations does not know.
        """
        transforms = PRESETS[augment] if isinstance(augment, str) else augment
        self.size, self.resize_mode = size, resize_mode
        self.is_random = bool(transforms)
        self.resizes_first = not (transforms and _gives_size(transforms[0]))
        if self.is_random:
            self._compose_all(transforms)

    def _compose_all(self, transforms: list[Transform]) -> None:
        library = _albumentations()
        self._errors = (ValueError, TypeError, library.augmentations.crops.transforms.CropSizeError)
        # One pair of generators for all transforms, so that resetting the pair resets them all:
        # 4 us an image, where Compose.set_random_seed takes 100.
        self._numpy = np.random.Generator(np.random.Philox())
        self._python = random.Random()
        self._state = self._numpy.bit_generator.state
        built = [_build(entry, self.size) for entry in transforms]
        self._compose = library.Compose(built, is_check_shapes=False)  # there is one image only
        self._compose.set_random_state(self._numpy, self._python)

    def __call__(self, pixels: np.ndarray, key: bytes) -> np.ndarray:
        """The whole of it for one image: uint8 [H, W, 3] and 16 bytes -> uint8 [size, size, 3]."""
        return self.augment(self.square(pixels), key)

    def square(self, pixels: np.ndarray) -> np.ndarray:
        """The first part, which threads may share: the image made square, if that comes first."""
        return (
            resizing.resize_square(pixels, self.size, self.resize_mode)
            if self.resizes_first
            else pixels
        )

    def augment(self, pixels: np.ndarray, key: bytes) -> np.ndarray:
        """The second part, which is random.

        Raises:
            UserError: if the transforms fail, or give another size or type.
        """
        if not self.is_random:
            return pixels
        self._seed(key)
        try:
            pixels = self._compose(image=pixels)["image"]
        except self._errors as error:
            raise UserError(f"augment: {error}") from None
        if pixels.dtype != np.uint8:
            raise UserError(
                f"augment gives {pixels.dtype} pixels: leave out Normalize and ToFloat, the model "
                "normalises by itself"
            )
        if pixels.shape != (self.size, self.size, 3):
            raise UserError(
                f"augment gives images of {pixels.shape[1]} x {pixels.shape[0]} pixels instead of "
                f"{self.size} x {self.size}: end with Resize, or crop to image_size"
            )
        return pixels

    def _seed(self, key: bytes) -> None:
        self._state["state"]["key"] = np.frombuffer(key, np.uint64)
        self._numpy.bit_generator.state = self._state  # the counter in it is the start's
        self._python.seed(key)


@cache
def _albumentations() -> Any:
    """The library, imported by who augments: inference need not wait for it."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks PyPI for a newer one
    import albumentations

    return albumentations


@cache
def _known() -> dict[str, Any]:
    """The transforms by their names."""
    library = _albumentations()
    kinds = library.BasicTransform | library.BaseCompose
    return {
        name: kind
        for name, kind in vars(library).items()
        if inspect.isclass(kind) and issubclass(kind, kinds)
    }


def _build(entry: Transform, size: int) -> Any:
    """One transform, with the transforms inside it (OneOf, SomeOf, Sequential, …)."""
    name, given = _split(entry)
    kind = _kind(name)
    known = inspect.signature(kind.__init__).parameters
    for argument in given:
        if argument not in known:
            hint = nearest(argument, known) or f"; it knows {', '.join(list(known)[1:])}"
            raise UserError(f"augment: {name} has no argument {argument}{hint}")
    arguments = {
        argument: (size, size) if argument == "size" else size
        for argument in _size_arguments(kind)
        if argument not in given
    }
    if "transforms" in given:
        given = {**given, "transforms": [_build(inner, size) for inner in given["transforms"]]}
    try:
        return kind(**arguments, **given)
    except (ValueError, TypeError) as error:
        raise UserError(f"augment: {name}: {error}") from None


def _split(entry: Transform) -> tuple[str, dict[str, Any]]:
    if not (isinstance(entry, dict) and len(entry) == 1):
        raise UserError(f"augment: one transform an entry, as `- Name: {{arguments}}`, not {entry}")
    ((name, arguments),) = entry.items()
    return name, arguments or {}


def _gives_size(entry: Transform) -> bool:
    return bool(_size_arguments(_kind(_split(entry)[0])))


def _kind(name: str) -> Any:
    if name not in _known():
        hint = nearest(name, _known()) or ": see https://albumentations.ai/docs"
        raise UserError(f"augment: albumentations has no transform {name}{hint}")
    return _known()[name]


def _size_arguments(kind: Any) -> list[str]:
    """The arguments by which a transform must be told the size of its output."""
    parameters = inspect.signature(kind.__init__).parameters
    return [
        name
        for name in ("size", "height", "width")
        if name in parameters and parameters[name].default is inspect.Parameter.empty
    ]
