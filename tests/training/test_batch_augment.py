"""Augmentation in batches: the same images as albumentations gives with the same keys."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from podium.core import seeding
from podium.core.errors import UserError
from podium.images.augment import PRESETS, Augmentation
from podium.training import batch_resize
from podium.training.batch_augment import BatchAugmentation, unsupported

SIZE = 48
SHAPES = ((96, 130), (60, 44), (48, 48), (30, 700), (77, 131))
COPIES = 6  # of each, with other keys
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "p": 0.8}
CROP = {"RandomResizedCrop": {"scale": [0.2, 1.0]}}
CASES: dict[str, tuple[Any, float]] = {  # augmentation, highest mean difference of 255
    "none": ("none", 0.4),
    "light": ("light", 0.4),
    "medium": ("medium", 2.0),
    "crop later": ([{"VerticalFlip": {}}, CROP, {"HorizontalFlip": {}}], 0.7),
    "rotate": ([{"Rotate": {"limit": [-45, 45], "p": 0.7, "fill": 100}}], 0.7),
    "affine": (
        [
            CROP,
            {
                "Affine": {
                    "rotate": [-30, 30],
                    "shear": [-10, 10],
                    "scale": [0.7, 1.3],
                    "translate_percent": [-0.2, 0.2],
                    "p": 0.7,
                }
            },
        ],
        0.7,
    ),
    "jitter": ([{"ColorJitter": JITTER}], 2.0),
    "holes": (
        [CROP, {"CoarseDropout": {"num_holes_range": [1, 4], "p": 0.8, "fill": [9, 99, 200]}}],
        0.4,
    ),
    "resize": ([{"Resize": {}}, {"HorizontalFlip": {}}], 0.4),
    "sized crop": ([{"RandomSizedCrop": {"min_max_height": [12, 30]}}], 0.4),
    "shift": ([{"ShiftScaleRotate": {"p": 0.7}}], 0.7),
    "brightness": ([{"RandomBrightnessContrast": {"p": 0.7}}], 2.0),
}


def picture(height: int, width: int) -> np.ndarray:
    """Smooth shapes with sharp edges, in all colors."""
    rng = np.random.default_rng(height * width)
    noise = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    pixels = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 30, 80)
    return pixels


PICTURES = [picture(*shape) for shape in SHAPES for _ in range(COPIES)]
KEYS = [seeding.digest(number) for number in range(len(PICTURES))]


def in_batch(augmentation: Augmentation, pictures: list[np.ndarray]) -> np.ndarray:
    batch = BatchAugmentation(augmentation)
    flat = torch.from_numpy(np.concatenate([p.reshape(-1, p.shape[2]) for p in pictures]))
    sizes = [pixels.shape[0] * pixels.shape[1] for pixels in pictures]
    first = np.cumsum([0, *sizes[:-1]]).tolist()
    draws = [
        batch.draw(*pixels.shape[:2], key) for pixels, key in zip(pictures, KEYS, strict=False)
    ]
    result = batch.apply(flat, first, [pixels.shape[1] for pixels in pictures], draws)
    assert result.dtype == torch.float32 and result.shape[:3] == (len(pictures), SIZE, SIZE)
    assert result.shape[3] == pictures[0].shape[2]
    return result.numpy()


@pytest.mark.parametrize("resize_mode", ["crop", "squash", "pad"])
@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_augmented_as_albumentations_augments_each_image(
    case: str, resize_mode: str
) -> None:
    augment, difference = CASES[case]
    augmentation = Augmentation(augment, size=SIZE, resize_mode=resize_mode)
    expected = np.stack([augmentation(p, key) for p, key in zip(PICTURES, KEYS, strict=True)])
    differences = np.abs(in_batch(augmentation, PICTURES) - expected).mean(axis=(1, 2, 3))
    assert differences.mean() < difference, differences
    assert differences.max() < 8 * difference
    if augmentation.is_random:
        plain = Augmentation("none", size=SIZE, resize_mode=resize_mode)
        unchanged = np.stack([plain(pixels, bytes(16)) for pixels in PICTURES])
        assert np.abs(unchanged - expected.astype(float)).mean() > 3  # the test sees a difference


@pytest.mark.parametrize("channels", [1, 2, 4, 12])
@pytest.mark.parametrize("augment", ["medium", [*CASES["affine"][0], {"CoarseDropout": {}}]])
def test_other_channels_are_augmented_in_batches_too(augment: Any, channels: int) -> None:
    pictures = [np.tile(pixels, 4)[..., :channels] for pixels in PICTURES]
    pictures = [np.ascontiguousarray(pixels) for pixels in pictures]
    augmentation = Augmentation(augment, size=SIZE, resize_mode="crop", channels=channels)
    expected = np.stack([augmentation(p, key) for p, key in zip(pictures, KEYS, strict=True)])
    differences = np.abs(in_batch(augmentation, pictures) - expected).mean(axis=(1, 2))
    assert differences.mean() < 1 and differences.max() < 8
    assert np.abs(expected[0].astype(float) - expected[1]).mean() > 3  # other parameters


def test_images_do_not_depend_on_the_others_in_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    augmentation = Augmentation("medium", size=SIZE, resize_mode="crop")
    whole = in_batch(augmentation, PICTURES)
    assert np.allclose(in_batch(augmentation, PICTURES[:7]), whole[:7], atol=0.01)
    monkeypatch.setattr(batch_resize, "MAX_PIXELS", 2 * 700 * 96)  # two images at a time
    assert np.allclose(in_batch(augmentation, PICTURES), whole, atol=0.01)


@pytest.mark.parametrize(
    ("augment", "problem"),
    [
        ("heavy", "the transform OneOf"),
        ([{"RandomResizedCrop": {"p": 0.5}}], "p: 0.5 of RandomResizedCrop"),
        ([{"Rotate": {"interpolation": cv2.INTER_CUBIC}}], "the interpolation of Rotate"),
        ([{"Affine": {"border_mode": cv2.BORDER_REFLECT}}], "the border_mode of Affine"),
        ([{"CoarseDropout": {"fill": "random"}}], "the fill of CoarseDropout"),
        ([{"Resize": {"height": 24, "width": 24}}, {"Resize": {}}], "the size of Resize"),
        ([{"Rotate": {"crop_border": True}}], "the changed size of Rotate"),
        (
            [{"RandomBrightnessContrast": {"brightness_by_max": False}}],
            "brightness_by_max: false of RandomBrightnessContrast",
        ),
    ],
)
def test_what_cannot_run_in_batches_is_named(augment: Any, problem: str) -> None:
    augmentation = Augmentation(augment, size=SIZE, resize_mode="crop")
    assert unsupported(augmentation) == problem
    with pytest.raises(UserError, match=f"augment: {problem} is not possible with augment_on: gpu"):
        BatchAugmentation(augmentation)


def test_colors_of_other_channels_are_named() -> None:
    jitter: Any = [{"ColorJitter": {}}]
    augmentation = Augmentation(jitter, size=SIZE, resize_mode="crop", channels=1)
    assert unsupported(augmentation) == "the 1 channels of ColorJitter"


def test_all_presets_but_heavy_can_run_in_batches() -> None:
    names = [
        name for name in PRESETS if not unsupported(Augmentation(name, size=9, resize_mode="crop"))
    ]
    assert names == ["none", "light", "medium"]
