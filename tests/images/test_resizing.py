import numpy as np
import pytest

from podium.images import resizing
from podium.images.augment import Augmentation

COLUMNS = np.arange(5, 2048, 37)


def lines(*, across: bool) -> np.ndarray:
    """A strip of 64 x 2048 pixels with 56 white lines of one pixel across it, or turned by 90°."""
    pixels = np.zeros((64, 2048, 3), np.uint8)
    pixels[:, COLUMNS] = 255
    return pixels if across else pixels.transpose(1, 0, 2)


@pytest.mark.parametrize("across", [True, False])
def test_one_pixel_lines_survive_squashing_a_strip(across: bool) -> None:
    """OpenCV's area interpolation is bilinear if one of the axes grows."""
    square = resizing.resize_square(lines(across=across), 128, "squash")
    profile = square.max((0, 2) if across else (1, 2))
    assert set(COLUMNS // 16) <= set(np.flatnonzero(profile))


@pytest.mark.parametrize("height", [16, 64, 100])
@pytest.mark.parametrize("width", [10, 40, 90])
def test_resizing_keeps_the_mean(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 40, 3), np.uint8)
    resized = resizing.resize(noise, height, width)
    assert resized.shape == (height, width, 3)
    assert np.abs(resized.mean((0, 1)) - noise.mean((0, 1))).max() < 4
    if height <= 64 and width <= 40:  # area interpolation averages noise away
        assert resized.std() <= noise.std()


@pytest.mark.parametrize(
    "entry",
    [
        {"RandomResizedCrop": {"scale": [1.0, 1.0], "ratio": [1.0, 1.0]}},
        {"RandomSizedCrop": {"min_max_height": [192, 192]}},
        {"Resize": {}},
        {"SmallestMaxSize": {"max_size": 48}},
        {"LongestMaxSize": {"max_size": 48}},
        {"RandomScale": {"scale_limit": [-0.75, -0.75], "p": 1.0}},
    ],
    ids=lambda entry: next(iter(entry)),
)
def test_training_resizes_as_validation_does(entry: dict[str, dict[str, object]]) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8)
    augmentation = Augmentation([entry], size=48, resize_mode="squash")
    expected = resizing.resize_square(grain, 48, "squash")
    # `augment` leaves out that the image is made square first, where a transform is not the one
    # that does it.
    assert np.array_equal(augmentation.augment(grain, bytes(16)), expected)


def test_a_given_interpolation_is_used() -> None:
    grain = np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8)
    nearest = Augmentation([{"Resize": {"interpolation": 0}}], size=48, resize_mode="squash")
    assert np.array_equal(nearest(grain, bytes(16)), grain[::4, ::4])


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("mode", ["crop", "squash", "pad"])
def test_each_channel_is_resized_like_a_gray_image(mode: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 90, channels), np.uint8)
    expected = [resizing.resize_square(p[..., None], 48, mode) for p in np.moveaxis(pixels, 2, 0)]
    assert np.array_equal(resizing.resize_square(pixels, 48, mode), np.dstack(expected))
    assert resizing.downsize(pixels, 20).shape == (20, 36, channels)
