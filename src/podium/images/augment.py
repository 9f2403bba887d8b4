"""Augmentation by albumentations, as a function of the image and a key (seed, epoch, image id)."""

import inspect
import os
import random
from functools import cache
from typing import Any

import numpy as np
from pydantic import ValidationError

from podium.config.phases import Augment, Transform
from podium.core import validation
from podium.core.errors import UserError, nearest
from podium.images import channels as of_channels
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
    """Turns a stored image into a square one. A key determines everything that is random."""

    def __init__(self, augment: Augment, *, size: int, resize_mode: str, channels: int = 3) -> None:
        """Build a preset, or transforms from params.yaml, for images with `channels` and output of
        `size` x `size` pixels.

        The image is first made square as `resize_mode` says, unless the first transform outputs a
        given size, such as RandomResizedCrop. A required size argument defaults to `size`.

        Raises:
            UserError: for a transform or argument that albumentations does not have.
        """
        self.size, self.resize_mode, self.channels = size, resize_mode, channels
        transforms = preset(augment, channels) if isinstance(augment, str) else augment
        self.is_random, self.resizes_first = bool(transforms), True
        self.transforms: list[Any] = []  # of albumentations
        if not transforms:
            return
        library = _albumentations()
        self._errors = (ValueError, TypeError, library.augmentations.crops.transforms.CropSizeError)
        # All transforms share two generators, so that resetting these resets them all: 4 us per
        # image, instead of 100 us for Compose.set_random_seed.
        self._numpy = np.random.Generator(np.random.Philox())
        self._python = random.Random()
        self._state = self._numpy.bit_generator.state
        built = [_build(entry, size) for entry in transforms]
        self.resizes_first = not _size_arguments(type(built[0]), size)
        self.transforms = built
        self._compose = library.Compose(built, is_check_shapes=False)  # checks masks, not used here
        self._compose.set_random_state(self._numpy, self._python)

    def __call__(self, pixels: np.ndarray, key: bytes) -> np.ndarray:
        """Transform one image: uint8 [H, W, C] and 16 bytes -> uint8 [size, size, C]."""
        return self.augment(self.square(pixels), key)

    def square(self, pixels: np.ndarray) -> np.ndarray:
        """The deterministic part, which is thread-safe: make the image square, if it is first."""
        if not self.resizes_first:
            return pixels
        return resizing.resize_square(pixels, self.size, self.resize_mode)

    def augment(self, pixels: np.ndarray, key: bytes) -> np.ndarray:
        """The random part.

        Raises:
            UserError: if a transform fails, or the result has another size or type.
        """
        if not self.is_random:
            return pixels
        self._reseed(key)
        try:
            pixels = self._compose(image=pixels)["image"]
        except self._errors as error:
            raise UserError(f"augment: {error}") from None
        if pixels.dtype != np.uint8:
            raise UserError(
                f"augment: the result has {pixels.dtype} pixels instead of uint8. Remove Normalize "
                "and ToFloat: the model normalizes its input."
            )
        if pixels.ndim == 2:  # some transforms drop a single channel
            pixels = pixels[..., None]
        if pixels.shape[2:] != (self.channels,):
            raise UserError(
                f"augment: the result has {of_channels.count(pixels)} channels instead of "
                f"{self.channels}. Remove the transform that changes them."
            )
        if pixels.shape[:2] != (self.size, self.size):
            raise UserError(
                f"augment: the result has {pixels.shape[1]} x {pixels.shape[0]} pixels instead of "
                f"{self.size} x {self.size}. End with Resize, or crop to image_size."
            )
        return pixels

    def _reseed(self, key: bytes) -> None:
        self._state["state"]["key"] = np.frombuffer(key, np.uint64)
        self._numpy.bit_generator.state = self._state  # which also resets the counter
        self._python.seed(key)

    def begin(self, key: bytes) -> None:
        """Start drawing from `key`, as `augment` does before the first transform."""
        self._reseed(key)
        self._python.random()  # Compose's own probability


def preset(name: str, channels: int) -> list[Transform]:
    """The transforms of a preset. Without three channels there are no colors: instead of
    ColorJitter, brightness and contrast of all channels change, and ToGray is dropped.
    """
    return PRESETS[name] if channels == 3 else _without_colors(PRESETS[name])


def _without_colors(transforms: list[Transform]) -> list[Transform]:
    changed = list[Transform]()
    for entry in transforms:
        ((name, arguments),) = entry.items()
        arguments = arguments or {}
        if name == "ColorJitter":
            limits = {f"{key}_limit": arguments[key] for key in ("brightness", "contrast")}
            changed.append({"RandomBrightnessContrast": limits})
        elif "transforms" in arguments:
            inner = _without_colors(arguments["transforms"])
            changed.append({name: {**arguments, "transforms": inner}})
        elif name != "ToGray":
            changed.append(entry)
    return changed


@cache
def _albumentations() -> Any:
    """Import the library when it is needed: it takes time, and inference does without it."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks PyPI for updates
    import albumentations

    return albumentations


@cache
def _registry() -> dict[str, Any]:
    """The library's transforms by name."""
    library = _albumentations()
    bases = (library.BasicTransform, library.BaseCompose)
    classes = inspect.getmembers(library, inspect.isclass)
    return {name: kind for name, kind in classes if issubclass(kind, bases)}


def _build(entry: Transform, size: int) -> Any:
    """Build a transform, and the transforms inside it (OneOf, SomeOf, Sequential, …)."""
    if not (isinstance(entry, dict) and len(entry) == 1):
        raise UserError(f"augment: must be one transform, `- Name: {{arguments}}`, not {entry}")
    ((name, arguments),) = entry.items()
    if name not in _registry():
        hint = nearest(name, _registry()) or ". See https://albumentations.ai/docs"
        raise UserError(f"augment: albumentations has no transform {name}{hint}")
    kind, arguments = _registry()[name], arguments or {}
    parameters = inspect.signature(kind.__init__).parameters
    for argument in arguments:
        if argument not in parameters:
            choices = ", ".join(list(parameters)[1:])
            hint = nearest(argument, parameters) or f". Choose from {choices}."
            raise UserError(f"augment: {name} has no argument {argument}{hint}")
    if not {"interpolation", "area_for_downscale"} & arguments.keys():
        kind, arguments = _resized_as_in_validation(kind, arguments)
    arguments = {**_size_arguments(kind, size), **arguments}
    if "transforms" in arguments:
        arguments["transforms"] = [_build(inner, size) for inner in arguments["transforms"]]
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        problem = f"{name}: {error}"
        if isinstance(error.__cause__, ValidationError):
            problems = validation.explain(error.__cause__, arguments, at=name)
            problem = "; ".join(f"{key}: {text}" for key, text in problems)
        raise UserError(f"augment: {problem}") from None


def _resized_as_in_validation(kind: Any, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Make a transform that resizes do it as `resizing.resize` does."""
    from podium.images import resized_transforms

    if "area_for_downscale" not in inspect.signature(kind.__init__).parameters:
        return kind, arguments
    if kind.__name__ in resized_transforms.SAME_ARGUMENTS:
        return resized_transforms.SAME_ARGUMENTS[kind.__name__], arguments
    return kind, {**arguments, "area_for_downscale": "image"}  # scales both axes by one factor


def _size_arguments(kind: Any, size: int) -> dict[str, Any]:
    """The required arguments of a transform that set its output size."""
    parameters = inspect.signature(kind.__init__).parameters
    values = {"size": (size, size), "height": size, "width": size}
    return {
        name: value
        for name, value in values.items()
        if name in parameters and parameters[name].default is inspect.Parameter.empty
    }
