"""Training on images with other than three channels."""

from pathlib import Path

import channel_kinds
import numpy as np
import pandas as pd
import pytest
import torch
from competitions import tables
from trainings import train

from podium.images import codec, loading, store
from podium.images.augment import Augmentation
from podium.images.store import ImageStore
from podium.models import weights
from podium.training.batch_loading import BatchLoader
from podium.training.cache import Cache

CPU = torch.device("cpu")
IDS = tables(channel_kinds.TRAIN, 0)[0]["id"].tolist()


@pytest.fixture
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    """The training images of `channel_kinds`, with as many channels as the parameter says."""
    pixels = channel_kinds.images(request.param)["train"]
    rows = ((image, codec.encode_pixels(p, encode="png", quality=0)) for image, p in pixels.items())
    path = tmp_path / "images/00000.arrow"
    path.parent.mkdir()
    store.write_shard(path, rows, encode="png", channels=request.param)
    return ImageStore(path.parent)


@pytest.mark.parametrize("stored", [1, 2, 4, 12], indirect=True)
def test_batches_augmented_on_the_device_are_those_of_the_cpu(stored: ImageStore) -> None:
    def images(source: ImageStore | Cache) -> loading.Images:
        transforms = [Augmentation("medium", size=24, resize_mode="crop", channels=source.channels)]
        return loading.Images(source, IDS, np.arange(len(IDS)), transforms=transforms, seed=1)

    expected = list(loading.shuffled(images(stored), 8, workers=0))
    cached = Cache(stored)
    cached.fill(IDS, budget=2**30)
    on_device = cached.on_device(IDS, CPU, budget=2**30)
    assert on_device is not None and on_device.pixels.shape[1] == stored.channels
    for source in (stored, cached):
        made = images(source)
        batches = BatchLoader(made, loading.random_order(made, 8), CPU)
        if source is cached:
            batches._resident = on_device
        for batch, other in zip(batches, expected, strict=True):
            assert torch.equal(batch.targets, other.targets)
            difference = batch.inputs["image"] - other.inputs["image"].float()
            assert difference.abs().mean() < 2


@pytest.mark.parametrize("augment_on", ["cpu", "gpu"])
@pytest.mark.parametrize("stored", [4], indirect=True)
def test_a_network_learns_what_only_the_fourth_channel_shows(
    stored: ImageStore, augment_on: str, tmp_path: Path
) -> None:
    table = tables(channel_kinds.TRAIN, 0)[0]
    folds: pd.DataFrame = table.assign(fold=np.arange(len(table)) // 3 % 3)
    trained = train(
        stored,
        folds=folds,
        image_size=64,
        augment=[{"HorizontalFlip": {}}],
        augment_on=augment_on,
        phases=[{"epochs": 12, "lr": 0.01}],
    )
    assert trained.best.epoch.score is not None and trained.best.epoch.score >= 0.75
    assert trained.provenance.channels == 4
    weights.save(tmp_path / "w.safetensors", trained.best.weights, trained.provenance)
    net, provenance, _ = weights.load(tmp_path / "w.safetensors")
    assert provenance.channels == 4 and net(torch.zeros(1, 4, 64, 64)).shape == (1, 3)
