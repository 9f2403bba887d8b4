import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from podium.core.errors import UserError
from podium.images import loading, store
from podium.images.augment import PRESETS, Augmentation
from podium.images.sampling import SampleIndex
from podium.images.store import ImageStore

MakeImages = Callable[..., loading.Images]
AUGMENT = [
    {"RandomResizedCrop": {"scale": [0.4, 1.0]}},
    {"HorizontalFlip": None},
    {"OneOf": {"transforms": [{"RandomGamma": {}}, {"GaussNoise": {}}], "p": 0.9}},
]


@pytest.fixture
def images(tmp_path: Path) -> MakeImages:
    rng = np.random.default_rng(0)
    pictures = [competitions.picture("square", rng) for _ in range(21)]
    rows = [(f"{i:02d}", competitions.encode(pixels)) for i, pixels in enumerate(pictures)]
    store.write_shard(tmp_path / "00000.arrow", iter(rows), encode="png")

    def make(seed: int = 1, ids: list[str] | None = None) -> loading.Images:
        augmentation = Augmentation(AUGMENT, size=24, resize_mode="crop")
        names = ids or [image for image, _ in rows]
        return loading.Images(
            ImageStore(tmp_path), names, np.arange(len(names)), transforms=[augmentation], seed=seed
        )

    return make


def epoch(loader: loading.Loader, number: int, phase: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    loader.batch_sampler.set_epoch(number, phase=phase)
    batches = list(loader)
    return torch.cat([b.inputs["image"] for b in batches]), torch.cat([b.targets for b in batches])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_have_the_same_bytes_at_any_number_of_workers(images: MakeImages) -> None:
    loaders = [loading.shuffled(images(), 4, workers=workers) for workers in (0, 1, 2, 4)]
    for number in (1, 2):  # a second epoch: workers that live on must not carry state along
        first, *rest = [epoch(loader, number) for loader in loaders]
        for other in rest:
            assert torch.equal(first[0], other[0]) and torch.equal(first[1], other[1])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("columns", [1, 3])
def test_targets_that_are_numbers_come_as_they_are(
    images: MakeImages, workers: int, columns: int
) -> None:
    targets = np.random.default_rng(0).random((21, columns)).astype(np.float32)
    made = images()
    made.targets = torch.as_tensor(targets)
    _, found = epoch(loading.in_order(made, 4, workers=workers), 1)
    assert found.dtype == torch.float32 and np.array_equal(found.numpy(), targets)


def test_batches_stay_as_they_are_while_others_are_loaded_ahead(images: MakeImages) -> None:
    few = images()
    few.ids, few.targets = few.ids * 2, few.targets.repeat(2)  # many more batches than turns
    expected = list(loading.in_order(few, 2, workers=0))
    loader = loading.in_order(few, 2, workers=1)
    for batch, (shared, _) in zip(expected, DataLoader.__iter__(loader), strict=True):
        time.sleep(0.05)  # the other process is as far ahead as it may be, before it is copied
        assert torch.equal(shared["image"], batch.inputs["image"])
    kept = list(loader)
    for batch, copy in zip(expected, kept, strict=True):
        assert torch.equal(batch.inputs["image"], copy.inputs["image"])


def load(images: loading.Images, *samples: SampleIndex) -> torch.Tensor:
    return images.__getitems__(list(samples)).inputs["image"]


def test_augmentation_depends_on_seed_epoch_and_image_alone(images: MakeImages) -> None:
    reference = load(images(), SampleIndex(5, 1), SampleIndex(6, 1))
    assert torch.equal(load(images(), SampleIndex(6, 1))[0], reference[1])
    assert torch.equal(load(images(ids=["06", "05"]), SampleIndex(0, 1))[0], reference[1])
    assert not torch.equal(load(images(), SampleIndex(5, 2))[0], reference[0])
    assert not torch.equal(load(images(seed=2), SampleIndex(5, 1))[0], reference[0])


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone(images: MakeImages) -> None:
    loader = loading.shuffled(images(), 4, workers=0)
    _, second = epoch(loader, 2)
    _, third = epoch(loader, 3)
    _, again = epoch(loading.shuffled(images(), 4, workers=0), 2)
    assert torch.equal(second, again)
    assert not torch.equal(second, third)


def test_training_leaves_out_the_last_batch_if_it_is_not_full(images: MakeImages) -> None:
    _, targets = epoch(loading.shuffled(images(), 4, workers=0), 1)
    assert len(targets) == 20 and len(set(targets.tolist())) == 20
    _, few = epoch(loading.shuffled(images(ids=["01", "02"]), 4, workers=0), 1)
    assert len(few) == 2


def test_a_balanced_epoch_draws_every_class_as_often_and_images_again_with_other_augmentation(
    images: MakeImages,
) -> None:
    uneven = images()
    uneven.targets = torch.tensor([0] * 18 + [1] * 3)
    loader = loading.balanced(uneven, 7, workers=0)
    counts = torch.zeros(2)
    for number in range(1, 41):
        loader.batch_sampler.set_epoch(number)
        draws = [draw for batch in loader.batch_sampler for draw in batch]
        assert len(draws) == 21
        counts += torch.bincount(uneven.targets[[draw.row for draw in draws]], minlength=2)
        assert len({(draw.row, draw.repeat) for draw in draws}) == 21
    assert counts[0] / counts.sum() == pytest.approx(0.5, abs=0.05)
    again = load(uneven, SampleIndex(20, 1, repeat=0), SampleIndex(20, 1, repeat=1))
    assert not torch.equal(again[0], again[1])
    _, first = epoch(loader, 5)
    _, second = epoch(loading.balanced(uneven, 7, workers=0), 5)
    assert torch.equal(first, second)


def test_a_phase_has_its_own_augmentation(images: MakeImages) -> None:
    plain = Augmentation("none", size=24, resize_mode="crop")
    both = images()
    both.transforms = [both.transforms[0], plain]
    loader = loading.shuffled(both, 4, workers=0)
    loader.batch_sampler.set_epoch(0, phase=1)
    rows = [draw.row for batch in loader.batch_sampler for draw in batch]
    expected = [plain(both.store.decode(both.ids[row]), bytes(16)) for row in rows]
    assert torch.equal(epoch(loader, 0, phase=1)[0], torch.as_tensor(np.stack(expected)))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_but_none_is_random(name: str) -> None:
    rng = np.random.default_rng(0)
    pixels = competitions.picture("square", rng)
    augmentation = Augmentation(name, size=48, resize_mode="crop")
    seen = {augmentation(pixels, key.to_bytes(16, "little")).tobytes() for key in range(12)}
    assert (len(seen) == 1) == (name == "none")


def test_inference_sees_every_image_once_in_order(images: MakeImages) -> None:
    _, targets = epoch(loading.in_order(images(), 4, workers=0), 1)
    assert targets.tolist() == list(range(21))


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
        ([{"RandomResizedCrop": {"scale": [2, 3]}}], "RandomResizedCrop: .*must be >= 0 and <= 1"),
        ([{"OneOf": {"transforms": ["Blur"]}}], "one transform an entry, .* not Blur"),
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
    with pytest.raises(UserError, match="leave out Normalize"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


def test_a_transform_that_fails_on_an_image_is_an_error() -> None:
    augmentation = Augmentation([{"RandomCrop": {}}], size=64, resize_mode="crop")
    with pytest.raises(UserError, match=r"augment: .*[Cc]rop"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), EOFError()])
def test_a_connection_that_ends_is_a_process_that_is_lost(error: Exception) -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise error

    told = loading._dead_workers_as_runtime_errors(batches())
    assert next(told) == 1
    with pytest.raises(RuntimeError, match=r"^DataLoader worker \(pid unknown\) is gone"):
        next(told)
