"""Alignment of two images, and what rules pairs out before it."""

import cv2
import numpy as np

from podium.explore import alignment
from podium.explore.image_stats import THUMB


def thumb(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def crop(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """80 to 100 % of each axis at a random position, some of them mirrored."""
    height, width = rng.integers(32, 41, 2)
    top, left = rng.integers(0, 41 - height), rng.integers(0, 41 - width)
    part = pixels[top : top + height, left : left + width]
    return thumb(part[:, ::-1] if rng.random() < 0.5 else part)


def test_only_pairs_that_cannot_match_are_ruled_out() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 6, 6)).astype(np.uint8)
    images = [cv2.resize(c, (40, 40), interpolation=cv2.INTER_CUBIC) for c in coarse]
    images[0] = 100 + images[0] // 32  # little contrast
    firsts = [thumb(image) for image in images * 4]
    seconds = [crop(image, rng) for image in images]
    seconds += [crop(images[n], rng) for n in rng.integers(60, size=180)]
    found = alignment.plausible(np.stack(firsts), np.stack(seconds))
    rough = [alignment.rough(*pair).correlation for pair in zip(firsts, seconds, strict=True)]
    matches = np.array(rough) >= alignment.ROUGH
    assert 40 < matches.sum() < 80 and found[matches].all()
    assert found.sum() < 1.5 * matches.sum()
