"""Which pairs of images are reported as near-duplicates."""

import cv2
import numpy as np
import pytest
from planted_photos import described, jpeg, photos

from podium.explore import near_duplicates
from podium.explore.near_duplicates import Pair

IMAGES = photos(40)


def find(
    images: list[np.ndarray],
    identical: list[list[int]] | None = None,
    searched: list[int] | None = None,
) -> list[Pair]:
    rows = np.array(range(len(images)) if searched is None else searched, int)
    return near_duplicates.find(
        described(images), images.__getitem__, identical or [], searched=rows, trained=False
    )


CHANGES = {
    "re-encoded": jpeg,
    "mirrored": lambda pixels: jpeg(pixels[:, ::-1], 90),
    "cropped": lambda pixels: jpeg(pixels[4:88, 14:126], 90),
    "cropped at a corner": lambda pixels: jpeg(pixels[:78, :104], 90),
    "mirrored and cropped": lambda pixels: jpeg(pixels[2:86, 10:118][:, ::-1], 90),
    "smaller": lambda pixels: cv2.resize(pixels, (80, 60), interpolation=cv2.INTER_AREA),
    "darker": lambda pixels: (pixels * 0.6).astype(np.uint8),
    "gray": lambda pixels: np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
}
KINDS = {"cropped at a corner": "cropped"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found(name: str) -> None:
    copies = [np.ascontiguousarray(CHANGES[name](IMAGES[n])) for n in range(8)]
    found = find([*IMAGES, *copies])
    assert [(pair.a, pair.b) for pair in sorted(found)] == [(n, 40 + n) for n in range(8)]
    kind = KINDS.get(name, name)
    if kind in ("cropped", "mirrored", "mirrored and cropped"):
        assert {pair.kind for pair in found} == {kind}


def test_different_images_are_no_copies() -> None:
    assert find(IMAGES) == []


def test_the_same_scene_in_another_photo_is_no_copy() -> None:
    """Large shapes agree, details do not."""
    smooth = [cv2.GaussianBlur(image, (0, 0), 3).astype(float) for image in IMAGES]
    details = [image - blurred for image, blurred in zip(IMAGES, smooth, strict=True)]
    images = [
        (smooth[n] + details[n + other]).clip(0, 255).astype(np.uint8)
        for other in (0, 20)
        for n in range(10)
    ]
    assert find(images) == []


def test_plain_and_tiny_images_are_copies_only_if_identical() -> None:
    plain = [np.full((64, 64, 3), level, np.uint8) for level in (0, 0, 128, 129, 255)]
    tiny = [cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) for image in IMAGES[:10]]
    pairs = find([*plain, *tiny, tiny[3]], [[0, 1], [8, 15]])
    assert [(pair.a, pair.b, pair.kind) for pair in pairs] == [
        (0, 1, "identical"), (8, 15, "identical")
    ]  # fmt: skip


def test_a_copy_of_identical_images_is_compared_once() -> None:
    images = [*IMAGES[:10], IMAGES[2], IMAGES[2], jpeg(IMAGES[2])]
    pairs = find(images, [[2, 10, 11]])
    assert [(p.a, p.b) for p in sorted(pairs)] == [(2, 10), (2, 11), (2, 12)]
    sets = near_duplicates.sets(pairs, len(images))
    assert np.flatnonzero(sets >= 0).tolist() == [2, 10, 11, 12] and set(sets) == {-1, 0}


def test_copies_of_a_sample_are_searched_among_all_images() -> None:
    images = [*IMAGES[:10], *(jpeg(IMAGES[n]) for n in range(4)), IMAGES[5], IMAGES[6]]
    identical = [[5, 14], [6, 15]]
    pairs = find(images, identical, searched=[1, 12, 14])
    assert [(p.a, p.b) for p in sorted(pairs)] == [(1, 11), (2, 12), (5, 14), (6, 15)]
    assert {p[:2] for p in find(images, identical, searched=[])} == {(5, 14), (6, 15)}


def test_sets_are_joined_over_pairs() -> None:
    pairs = [Pair(a, b, 1.0, "copy") for a, b in ((4, 5), (0, 2), (5, 7), (1, 3))]
    sets = near_duplicates.sets(pairs, 9)
    members = {tuple(np.flatnonzero(sets == number)) for number in set(sets) - {-1}}
    assert members == {(4, 5, 7), (0, 2), (1, 3)} and sets[[6, 8]].tolist() == [-1, -1]
