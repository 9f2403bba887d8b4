from typing import Any

import competitions
import numpy as np
import pytest

from podium.core.errors import UserError
from podium.images.augment import PRESETS, Augmentation
from podium.params import augment_channels


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_but_none_is_random(name: str) -> None:
    rng = np.random.default_rng(0)
    pixels = competitions.picture("square", rng)
    augmentation = Augmentation(name, size=48, resize_mode="crop")
    seen = {augmentation(pixels, key.to_bytes(16, "little")).tobytes() for key in range(12)}
    assert (len(seen) == 1) == (name == "none")


def test_no_argument_for_the_size_means_the_models_size() -> None:
    pixels = np.zeros((50, 40, 3), np.uint8)
    for transforms in ([{"Resize": {}}], [{"CenterCrop": None}], [{"HorizontalFlip": None}], []):
        assert Augmentation(transforms, size=32, resize_mode="crop")(pixels, bytes(16)).shape == (
            32,
            32,
            3,
        )


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([{"HorizontalFlp": None}], "no transform HorizontalFlp: did you mean HorizontalFlip"),
        ([{"Affine": {"rotat": 3}}], "Affine has no argument rotat: did you mean rotate"),
        (
            [{"RandomResizedCrop": {"scale": [2, 3]}}],
            "RandomResizedCrop.*must be >= 0 and <= 1",
        ),
        ([{"OneOf": {"transforms": ["Blur"]}}], "must be one transform, .* not Blur"),
        ([{"OneOf": {"transforms": [{"Blr": {}}]}}], "no transform Blr: did you mean Blur"),
    ],
)
def test_what_albumentations_does_not_know_is_an_error(transforms: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=f"(?s){message}"):
        Augmentation(transforms, size=32, resize_mode="crop")


def test_augmentation_that_gives_another_size_is_an_error() -> None:
    augmentation = Augmentation([{"Pad": {"padding": 4}}], size=32, resize_mode="crop")
    with pytest.raises(UserError, match="40 x 40 pixels instead of 32 x 32"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


def test_augmentation_that_normalises_is_an_error() -> None:
    augmentation = Augmentation([{"Normalize": {}}], size=32, resize_mode="crop")
    with pytest.raises(UserError, match="Remove Normalize"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


def test_a_transform_that_fails_on_an_image_is_an_error() -> None:
    augmentation = Augmentation([{"RandomCrop": {}}], size=64, resize_mode="crop")
    with pytest.raises(UserError, match=r"augment: .*[Cc]rop"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_support_any_number_of_channels(name: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, channels), np.uint8)
    augmentation = Augmentation(name, size=48, resize_mode="crop", channels=channels)
    augment_channels.check(augmentation)
    for key in range(12):
        assert augmentation(pixels, key.to_bytes(16, "little")).shape == (48, 48, channels)


def test_transforms_of_rgb_images_are_refused_by_name() -> None:
    inner = [{"ToGray": {"p": 0.001}}, {"GaussNoise": {}}]
    transforms: Any = [{"HueSaturationValue": {}}, {"OneOf": {"transforms": inner, "p": 0.001}}]
    with pytest.raises(UserError, match="augment: HueSaturationValue, ToGray does not support"):
        augment_channels.check(Augmentation(transforms, size=32, resize_mode="crop", channels=4))
    augment_channels.check(Augmentation(transforms, size=32, resize_mode="crop"))
