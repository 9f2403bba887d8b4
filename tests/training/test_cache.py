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


def size(images: ImageStore) -> int:
    return sum(images.decode(image).size for image in IDS)


def filled(images: ImageStore, budget: int) -> Cache:
    kept = Cache(images)
    kept.fill(IDS, budget=budget)
    return kept


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_have_the_same_bytes_cached_or_not_at_any_number_of_workers(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "CHUNK", 3 * images.decode(IDS[0]).size)  # several
    stores = [images, *(filled(images, part * size(images) // 2) for part in (0, 1, 2))]
    made = [Augmentation("heavy", size=24, resize_mode="crop")]
    epochs: list[torch.Tensor] = []
    for store in stores:
        for workers in (0, 1, 2, 4):
            shown = loading.Images(store, IDS, np.zeros(40, int), transforms=made, seed=1)
            loader = loading.shuffled(shown, 4, workers=workers)
            epochs.append(torch.cat([batch.inputs["image"] for _ in range(2) for batch in loader]))
    assert all(torch.equal(epochs[0], epoch) for epoch in epochs)


def test_it_keeps_what_fits_and_reads_the_rest_anew(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {image: images.decode(image) for image in IDS}
    sizes = np.cumsum([pixels.size for pixels in expected.values()])
    kept = filled(images, int(sizes[24]))
    assert capsys.readouterr().out.startswith("25 of 40 images are kept in memory, decoded: ")
    assert not watchdog._doing  # or the process would end as one that hangs
    read: list[str] = []
    decode = images.decode
    monkeypatch.setattr(images, "decode", lambda image: read.append(image) or decode(image))
    for image in IDS:
        pixels = kept.decode(image)
        assert np.array_equal(pixels, expected[image])
        pixels[:] = 0  # the caller's own
        assert np.array_equal(kept.decode(image), expected[image])
    assert read == [image for image in IDS[25:] for _ in range(2)]


def test_nothing_is_decoded_without_a_budget(images: ImageStore) -> None:
    kept = Cache(images)
    kept.fill(["no such image"], budget=0)
    assert kept.folder == images.folder
    with pytest.raises(UserError, match="holds no image"):
        kept.fill(["no such image"], budget=1)


def test_processes_that_are_spawned_get_its_pixels(images: ImageStore) -> None:
    kept = pickle.loads(pickle.dumps(filled(images, 2**30)))
    assert all(np.array_equal(kept.decode(image), images.decode(image)) for image in IDS)
