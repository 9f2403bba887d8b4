"""Batches of images: uint8 until the device, a batch at a time, the same at any worker count."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from podium import seed as seeding
from podium.augment import Augmentation
from podium.store import ImageStore

Key = tuple[int, int]  # epoch, row


class Batch(NamedTuple):
    """Images with their classes."""

    images: Tensor  # uint8 [B, size, size, 3]
    targets: Tensor  # int64 [B]; -1 where unknown


class Images(Dataset[Batch]):
    """Images of a store in a fixed order, made square."""

    def __init__(
        self,
        store: ImageStore,
        ids: list[str],
        targets: np.ndarray | None,
        *,
        transform: Augmentation,
        seed: int = 0,
    ) -> None:
        """The images `ids` of `store`, with their classes: int [len(ids)], or None if unknown."""
        self.store, self.ids, self.transform, self.seed = store, ids, transform, seed
        self.targets = torch.full((len(ids),), -1)
        if targets is not None:
            self.targets = torch.as_tensor(targets, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, keys: list[Key]) -> Batch:
        """A whole batch at once, into one tensor. What is random follows from seed, epoch, id."""
        size = self.transform.size
        images = torch.empty(len(keys), size, size, 3, dtype=torch.uint8)
        pixels = images.numpy()
        for slot, (epoch, row) in enumerate(keys):
            image = self.ids[row]
            key = seeding.digest(self.seed, epoch, image)
            pixels[slot] = self.transform(self.store.decode(image), key)
        return Batch(images, self.targets[[row for _, row in keys]])


class Order(Sampler[list[Key]]):
    """The batches of an epoch: in the dataset's order, or shuffled by (seed, epoch)."""

    def __init__(self, count: int, *, batch_size: int, seed: int | None = None) -> None:
        """Batches of `count` rows; shuffled if there is a `seed`, and then without the last one
        if that is not full: a batch of one image has no batch statistics.
        """
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.epoch = 0

    def __iter__(self) -> Iterator[list[Key]]:
        rows = np.arange(self.count)
        if self.seed is not None:
            rows = seeding.generator(self.seed, "order", self.epoch).permutation(self.count)
        for batch in range(len(self)):
            chosen = rows[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, row) for row in chosen.tolist()]

    def __len__(self) -> int:
        if self.seed is None:
            return math.ceil(self.count / self.batch_size)
        return max(1, self.count // self.batch_size)


def shuffled(images: Images, batch_size: int, *, workers: int) -> "DataLoader[Batch]":
    """Batches for training; set `.batch_sampler.epoch` before each pass."""
    order = Order(len(images), batch_size=batch_size, seed=images.seed)
    return _loader(images, order, workers)


def in_order(images: Images, batch_size: int, *, workers: int) -> "DataLoader[Batch]":
    """Batches for inference: every image once, in the order of `images`."""
    return _loader(images, Order(len(images), batch_size=batch_size), workers)


def _loader(images: Images, order: Order, workers: int) -> "DataLoader[Batch]":
    cv2.setNumThreads(0)  # the cores are busy: with a worker each, or with the model
    workers = min(workers, len(order))
    return DataLoader(
        images,
        batch_sampler=order,
        collate_fn=_whole,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        # Its own: each pass of a loader draws a seed, and from the global generator that would
        # shift the dropout of all that follows, by as many passes as there are.
        generator=torch.Generator(),
        worker_init_fn=_start_worker,
    )


def _whole(batch: Any) -> Any:
    return batch  # __getitems__ has made it a Batch already


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
