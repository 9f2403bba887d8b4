from collections.abc import Callable
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from podium import loading, store
from podium.augment import Augmentation
from podium.errors import UserError
from podium.store import ImageStore

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
        augmentation = Augmentation(AUGMENT, size=24, fit="crop")
        names = ids or [image for image, _ in rows]
        return loading.Images(
            ImageStore(tmp_path), names, np.arange(len(names)), transform=augmentation, seed=seed
        )

    return make


def epoch(loader: DataLoader[loading.Batch], number: int) -> tuple[torch.Tensor, torch.Tensor]:
    loader.batch_sampler.epoch = number
    batches = list(loader)
    return torch.cat([b.images for b in batches]), torch.cat([b.targets for b in batches])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_have_the_same_bytes_at_any_number_of_workers(images: MakeImages) -> None:
    loaders = [loading.shuffled(images(), 4, workers=workers) for workers in (0, 1, 2, 4)]
    for number in (1, 2):  # a second epoch: workers that live on must not carry state along
        first, *rest = [epoch(loader, number) for loader in loaders]
        for other in rest:
            assert torch.equal(first[0], other[0]) and torch.equal(first[1], other[1])


def test_augmentation_depends_on_seed_epoch_and_image_alone(images: MakeImages) -> None:
    reference = images().__getitems__([(1, 5), (1, 6)])
    assert torch.equal(images().__getitems__([(1, 6)]).images[0], reference.images[1])
    other_rows = images(ids=["06", "05"])
    assert torch.equal(other_rows.__getitems__([(1, 0)]).images[0], reference.images[1])
    assert not torch.equal(images().__getitems__([(2, 5)]).images[0], reference.images[0])
    assert not torch.equal(images(seed=2).__getitems__([(1, 5)]).images[0], reference.images[0])


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


def test_inference_sees_every_image_once_in_order(images: MakeImages) -> None:
    _, targets = epoch(loading.in_order(images(), 4, workers=0), 1)
    assert targets.tolist() == list(range(21))


def test_no_argument_for_the_size_means_the_models_size() -> None:
    pixels = np.zeros((50, 40, 3), np.uint8)
    for transforms in ([{"Resize": {}}], [{"CenterCrop": None}], [{"HorizontalFlip": None}], []):
        assert Augmentation(transforms, size=32, fit="crop")(pixels, bytes(16)).shape == (32, 32, 3)


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
        Augmentation(transforms, size=32, fit="crop")


def test_augmentation_that_gives_another_size_is_an_error() -> None:
    augmentation = Augmentation([{"Pad": {"padding": 4}}], size=32, fit="crop")
    with pytest.raises(UserError, match="40 x 40 pixels instead of 32 x 32"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


def test_augmentation_that_normalises_is_an_error() -> None:
    augmentation = Augmentation([{"Normalize": {}}], size=32, fit="crop")
    with pytest.raises(UserError, match="leave out Normalize"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))


def test_a_transform_that_fails_on_an_image_is_an_error() -> None:
    augmentation = Augmentation([{"RandomCrop": {}}], size=64, fit="crop")
    with pytest.raises(UserError, match=r"augment: .*[Cc]rop"):
        augmentation(np.zeros((50, 40, 3), np.uint8), bytes(16))
