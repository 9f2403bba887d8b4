"""Training batches that are augmented on the device: here the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import FOLDS, components, same_weights, train

from podium.core.errors import UserError
from podium.images import loading
from podium.images.augment import Augmentation
from podium.images.loading import Batch
from podium.images.store import ImageStore
from podium.training import batch_loading, build, cache
from podium.training.batch_loading import BatchLoader
from podium.training.cache import Cache
from podium.training.checkpoints import Checkpoints
from podium.training.state import TrainState

IDS = FOLDS["id"].tolist()[:30]
CPU = torch.device("cpu")


def dataset(store: Any) -> loading.Images:
    transforms = [Augmentation(name, size=24, resize_mode="crop") for name in ("medium", "light")]
    return loading.Images(store, IDS, np.arange(30) % 3, transforms=transforms, seed=1)


def loader(images: loading.Images, *, ahead: int = 0) -> BatchLoader:
    made = BatchLoader(images, loading.random_order(images, 8, balanced=True), CPU)
    made._ahead = ahead
    return made


def epochs(made: BatchLoader | loading.Loader) -> list[Batch]:
    batches = []
    for phase in (0, 1):
        made.batch_sampler.set_epoch(3 + phase, phase=phase)
        batches += list(made)
    return batches


def test_batches_are_those_of_the_cpu_up_to_rounding(images: ImageStore) -> None:
    on_cpu = loading.shuffled(dataset(images), 8, workers=0, balanced=True)
    for batch, expected in zip(epochs(loader(dataset(images))), epochs(on_cpu), strict=True):
        assert torch.equal(batch.targets, expected.targets)
        difference = batch.inputs["image"] - expected.inputs["image"].float()
        assert difference.abs().mean() < 2


def test_batches_have_the_same_bytes_wherever_the_images_are(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BLOCK_BYTES", 3 * images.decode(IDS[0]).size + 1)
    expected = epochs(loader(dataset(images)))
    store = Cache(images)
    store.fill(IDS, budget=2**30)
    assert store.on_device(IDS, CPU, budget=1000) is None
    assert store.on_device([*IDS, "other"], CPU, budget=2**30) is None
    resident = loader(dataset(store), ahead=2)
    resident._budget = 2**30
    for other in (loader(dataset(store)), resident):
        for batch, same in zip(epochs(other), expected, strict=True):
            assert torch.equal(batch.inputs["image"], same.inputs["image"])
            assert torch.equal(batch.targets, same.targets)
    assert resident._resident is not None
    next(iter(resident))  # a pass may end early


def test_training_repeats_and_resumes_with_the_same_bytes(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"augment": "medium", "augment_on": "gpu", "image_size": 32}
    options["phases"] = [{"epochs": 2, "lr": 0.01}]
    whole = train(images, **options)
    end_epoch = TrainState.end_epoch

    def killed(state: TrainState, *args: Any, **others: Any) -> bool:
        if state.epoch == 2:
            raise KeyboardInterrupt
        return end_epoch(state, *args, **others)

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "end_epoch", killed)
        with pytest.raises(KeyboardInterrupt), Checkpoints(tmp_path / "x") as checkpoints:
            train(images, checkpoints, **options)
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed = train(images, checkpoints, **options)
    assert same_weights(resumed.best.weights, whole.best.weights)


def test_auto_is_the_gpu_if_the_decoded_images_fit(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = components(images)
    dataset, cuda = run.loaders.train.dataset, torch.device("cuda")
    needed = sum(images.decode(image_id).size for image_id in dataset.ids)
    loaders = []
    for memory in (1.1 * needed, 0.9 * needed):
        monkeypatch.setattr(
            batch_loading, "memory_bytes", lambda _, m=memory: m / batch_loading.MEMORY_SHARE
        )
        loaders.append(build.train_loader(dataset, run.config, cuda))
    assert [isinstance(loader, BatchLoader) for loader in loaders] == [True, False]


def test_without_cuda_auto_is_the_cpu(images: ImageStore) -> None:
    assert isinstance(components(images, augment_on="gpu").loaders.train, BatchLoader)
    assert not isinstance(components(images, augment_on="auto").loaders.train, BatchLoader)
    with pytest.raises(UserError, match="the transform OneOf is not possible"):
        components(images, augment="heavy", augment_on="gpu")
