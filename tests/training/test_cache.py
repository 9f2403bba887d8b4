"""Decoded images in memory: the same pixels, within the budget."""

import pickle

import numpy as np
import pytest
import torch
from trainings import FOLDS

from podium.core.errors import UserError
from podium.images import loading, watchdog
from podium.images.augment import Augmentation
from podium.images.store import ImageStore
from podium.training import cache
from podium.training.cache import Cache

IDS = FOLDS["id"].tolist()[:40]


def total_size(images: ImageStore) -> int:
    return sum(images.decode(image_id).size for image_id in IDS)


def fill(images: ImageStore, budget: int) -> Cache:
    cached = Cache(images)
    cached.fill(IDS, budget=budget)
    return cached


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_have_the_same_bytes_with_any_cache_and_number_of_workers(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BLOCK_BYTES", 3 * images.decode(IDS[0]).size)  # many blocks
    stores = [images, *(fill(images, half * total_size(images) // 2) for half in (0, 1, 2))]
    transforms = [Augmentation("heavy", size=24, resize_mode="crop")]
    epochs: list[torch.Tensor] = []
    for store in stores:
        for workers in (0, 1, 2, 4):
            dataset = loading.Images(store, IDS, np.zeros(40, int), transforms=transforms, seed=1)
            loader = loading.shuffled(dataset, 4, workers=workers)
            epochs.append(torch.cat([batch.inputs["image"] for _ in range(2) for batch in loader]))
    assert all(torch.equal(epochs[0], epoch) for epoch in epochs)


def test_images_beyond_the_budget_are_read_from_the_store(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {image_id: images.decode(image_id) for image_id in IDS}
    sizes = np.cumsum([pixels.size for pixels in expected.values()])
    cached = fill(images, int(sizes[24]))
    assert "25 of 40" in capsys.readouterr().out
    assert not watchdog._task.text  # or the process would end as if it hung
    decoded: list[str] = []
    decode = images.decode
    monkeypatch.setattr(images, "decode", lambda name: decoded.append(name) or decode(name))
    for image_id in IDS:
        pixels = cached.decode(image_id)
        assert np.array_equal(pixels, expected[image_id])
        pixels[:] = 0  # a copy
        assert np.array_equal(cached.decode(image_id), expected[image_id])
    assert decoded == [image_id for image_id in IDS[25:] for _ in range(2)]


def test_nothing_is_decoded_without_a_budget(images: ImageStore) -> None:
    cached = Cache(images)
    cached.fill(["missing"], budget=0)
    assert cached.folder == images.folder
    with pytest.raises(UserError, match="missing"):
        cached.fill(["missing"], budget=1)


def test_a_pickled_cache_has_the_same_pixels(images: ImageStore) -> None:
    """As where worker processes are spawned."""
    cached = pickle.loads(pickle.dumps(fill(images, 2**30)))
    assert all(np.array_equal(cached.decode(name), images.decode(name)) for name in IDS)
