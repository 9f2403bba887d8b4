import time
from collections.abc import Callable, Iterator
from pathlib import Path

import competitions
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from podium.images import loading, ordered, store
from podium.images.augment import Augmentation
from podium.images.sampling import EpochBatchSampler, SampleIndex
from podium.images.store import ImageStore

MakeImages = Callable[..., loading.Images]
AUGMENT = [
    {"RandomResizedCrop": {"scale": [0.4, 1.0]}},
    {"HorizontalFlip": None},
    {"OneOf": {"transforms": [{"RandomGamma": {}}, {"GaussNoise": {}}], "p": 0.9}},
]


@pytest.fixture
def images(tmp_path: Path) -> MakeImages:
    """A dataset of 21 images, each with its row as its target."""
    rng = np.random.default_rng(0)
    pictures = [competitions.picture("square", rng) for _ in range(21)]
    rows = [(f"{i:02d}", competitions.encode(pixels)) for i, pixels in enumerate(pictures)]
    store.write_shard(tmp_path / "00000.arrow", iter(rows), encode="png")

    def make(seed: int = 1, ids: list[str] | None = None) -> loading.Images:
        augmentation = Augmentation(AUGMENT, size=24, resize_mode="crop")
        names = ids or [image_id for image_id, _ in rows]
        return loading.Images(
            ImageStore(tmp_path), names, np.arange(len(names)), transforms=[augmentation], seed=seed
        )

    return make


def load(images: loading.Images, *samples: SampleIndex) -> torch.Tensor:
    return images.__getitems__(list(samples)).inputs["image"]


def epoch(loader: loading.Loader, number: int, phase: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and targets of an epoch."""
    loader.batch_sampler.set_epoch(number, phase=phase)
    batches = list(loader)
    return torch.cat([b.inputs["image"] for b in batches]), torch.cat([b.targets for b in batches])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_have_the_same_bytes_with_any_number_of_workers(images: MakeImages) -> None:
    loaders = [loading.shuffled(images(), 4, workers=workers) for workers in (0, 1, 2, 4)]
    for number in (1, 2):  # persistent workers must not carry state into a second epoch
        first, *others = [epoch(loader, number) for loader in loaders]
        for other in others:
            assert torch.equal(first[0], other[0]) and torch.equal(first[1], other[1])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("columns", [1, 3])
def test_float_targets_are_loaded_unchanged(images: MakeImages, workers: int, columns: int) -> None:
    targets = np.random.default_rng(0).random((21, columns)).astype(np.float32)
    dataset = images()
    dataset.targets = torch.as_tensor(targets)
    loader = loading.shuffled(dataset, 4, workers=workers)
    _, loaded = epoch(loader, 1)
    rows = [sample.row for batch in loader.batch_sampler for sample in batch]
    assert loaded.dtype == torch.float32 and np.array_equal(loaded.numpy(), targets[rows])


def test_batches_do_not_change_while_others_are_prefetched(images: MakeImages) -> None:
    dataset = images()
    dataset.ids, dataset.targets = dataset.ids * 2, dataset.targets.repeat(2)  # 21 batches
    expected = list(loading.shuffled(dataset, 2, workers=0))
    loader = loading.shuffled(dataset, 2, workers=1)
    for batch, (shared, _) in zip(expected, DataLoader.__iter__(loader), strict=True):
        time.sleep(0.05)  # the worker prefetches all it may before the shared buffer is copied
        assert torch.equal(shared["image"], batch.inputs["image"])
    for batch, copy in zip(expected, list(loader), strict=True):
        assert torch.equal(batch.inputs["image"], copy.inputs["image"])


def test_augmentation_depends_on_seed_epoch_and_image_id_only(images: MakeImages) -> None:
    reference = load(images(), SampleIndex(5, 1), SampleIndex(6, 1))
    assert torch.equal(load(images(), SampleIndex(6, 1))[0], reference[1])
    assert torch.equal(load(images(ids=["06", "05"]), SampleIndex(0, 1))[0], reference[1])
    assert not torch.equal(load(images(), SampleIndex(5, 2))[0], reference[0])
    assert not torch.equal(load(images(seed=2), SampleIndex(5, 1))[0], reference[0])


def test_the_order_depends_on_seed_and_epoch_only(images: MakeImages) -> None:
    loader = loading.shuffled(images(), 4, workers=0)
    _, second = epoch(loader, 2)
    _, third = epoch(loader, 3)
    _, repeated = epoch(loading.shuffled(images(), 4, workers=0), 2)
    assert torch.equal(second, repeated)
    assert not torch.equal(second, third)


def test_an_epoch_can_start_from_any_batch(images: MakeImages) -> None:
    sampler = loading.shuffled(images(), 4, workers=0).batch_sampler
    sampler.set_epoch(3)
    batches = list(sampler)
    sampler.set_epoch(3, first_batch=2)
    assert list(sampler) == batches[2:] and sampler.batch(1) == batches[1]


@pytest.mark.parametrize("kind", ["in order", "shuffled", "balanced"])
def test_the_largest_batch_that_is_possible(kind: str) -> None:
    sizes = [3, 9, 1, 2, 2, 5]
    sampler = EpochBatchSampler(
        sum(sizes),
        batch_size=4,
        seed=None if kind == "in order" else 1,
        weights=np.ones(len(sizes)) if kind == "balanced" else None,
        units=np.repeat(np.arange(len(sizes)), sizes),
    )
    seen = 0
    for number in range(2000 if kind != "in order" else 1):
        sampler.set_epoch(number)
        seen = max(seen, *map(len, sampler))
    assert sampler.largest == {"in order": 9, "shuffled": 19, "balanced": 36}[kind]
    assert seen == sampler.largest or (kind == "balanced" and 19 < seen < 36)


def test_training_drops_an_incomplete_last_batch(images: MakeImages) -> None:
    _, targets = epoch(loading.shuffled(images(), 4, workers=0), 1)
    assert len(targets) == 20 and len(set(targets.tolist())) == 20
    _, only_batch = epoch(loading.shuffled(images(ids=["01", "02"]), 4, workers=0), 1)
    assert len(only_batch) == 2


def test_balanced_sampling_draws_classes_equally_and_augments_each_repeat_differently(
    images: MakeImages,
) -> None:
    dataset = images()
    dataset.targets = torch.tensor([0] * 18 + [1] * 3)
    loader = loading.shuffled(dataset, 7, workers=0, balanced=True)
    counts = torch.zeros(2)
    for number in range(1, 41):
        loader.batch_sampler.set_epoch(number)
        samples = [sample for batch in loader.batch_sampler for sample in batch]
        assert len(samples) == 21
        counts += torch.bincount(dataset.targets[[sample.row for sample in samples]], minlength=2)
        assert len({(sample.row, sample.repeat) for sample in samples}) == 21
    assert counts[0] / counts.sum() == pytest.approx(0.5, abs=0.05)
    repeats = load(dataset, SampleIndex(20, 1, repeat=0), SampleIndex(20, 1, repeat=1))
    assert not torch.equal(repeats[0], repeats[1])
    _, first = epoch(loader, 5)
    _, second = epoch(loading.shuffled(dataset, 7, workers=0, balanced=True), 5)
    assert torch.equal(first, second)


def test_each_phase_has_its_own_augmentation(images: MakeImages) -> None:
    plain = Augmentation("none", size=24, resize_mode="crop")
    dataset = images()
    dataset.transforms = [dataset.transforms[0], plain]
    loader = loading.shuffled(dataset, 4, workers=0)
    pixels, rows = epoch(loader, 0, phase=1)
    expected = [plain(dataset.store.decode(dataset.ids[row]), bytes(16)) for row in rows]
    assert torch.equal(pixels, torch.as_tensor(np.stack(expected)))


@pytest.mark.parametrize("device", ["cpu", "mps"])  # one at a time, or some ahead
def test_inference_loads_every_image_once_in_order(images: MakeImages, device: str) -> None:
    dataset = plain(images())
    batches = list(ordered.InOrder(dataset, 4, device=device))
    assert torch.cat([batch.targets for batch in batches]).tolist() == list(range(21))
    expected = load(dataset, *map(SampleIndex, range(21)))
    assert torch.equal(torch.cat([batch.inputs["image"] for batch in batches]), expected)


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [16, 5]), ("cuda", [11, 10])])
def test_batches_for_a_gpu_are_nearly_equal(
    images: MakeImages, device: str, sizes: list[int]
) -> None:
    loader = ordered.InOrder(images(), 16, device=device)
    assert list(map(len, loader.batch_sampler)) == sizes and len(loader) == 2


def plain(dataset: loading.Images) -> loading.Images:
    dataset.transforms = [Augmentation("none", size=24, resize_mode="crop")]
    return dataset


@pytest.mark.parametrize("mebibytes", [0, 1])
def test_square_images_are_kept_for_later_passes_if_they_fit(
    images: MakeImages, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    monkeypatch.setenv("PODIUM_CACHE_MIB", str(mebibytes))
    dataset, decoded = plain(images()), list[str]()
    decode = dataset.store.decode
    monkeypatch.setattr(dataset.store, "decode", lambda name: decoded.append(name) or decode(name))
    loader = ordered.InOrder(dataset, 4, keep=True)
    assert loader.kept_bytes == (21 * 24 * 24 * 3 if mebibytes else 0)
    next(iter(loader))  # a pass that ends early keeps nothing
    decoded.clear()
    first, second = list(loader), list(loader)
    assert sorted(decoded) == sorted(dataset.ids * (1 if mebibytes else 2))
    for batch, again in zip(first, second, strict=True):
        assert torch.equal(batch.inputs["image"], again.inputs["image"])
        assert torch.equal(batch.targets, again.targets)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), EOFError()])
def test_a_lost_connection_to_a_worker_is_reported_like_a_dead_worker(
    images: MakeImages, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    loader = loading.shuffled(images(), 4, workers=0)
    first = next(DataLoader.__iter__(loader))

    def batches(_: object) -> Iterator[object]:
        yield first
        raise error

    monkeypatch.setattr(DataLoader, "__iter__", batches)
    received = iter(loader)
    assert len(next(received).targets) == 4
    with pytest.raises(RuntimeError, match=r"^DataLoader worker \(pid unknown\) is gone"):
        next(received)
