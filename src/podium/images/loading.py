"""Batches of images: uint8 until the device, a batch at a time, the same at any worker count."""

import math
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from podium.core import machine, seeding, signals
from podium.images import watchdog
from podium.images.augment import Augmentation
from podium.images.store import ImageSource

AHEAD = 2  # batches that a process may load before they are asked for


class Draw(NamedTuple):
    """One image of a batch: which, and what its augmentation follows from."""

    row: int
    epoch: int = 0
    repeat: int = 0  # which time in the epoch, where rows are drawn with replacement
    phase: int = 0  # which of the augmentations


class Batch(NamedTuple):
    """Images with their targets."""

    images: Tensor  # uint8 [B, size, size, 3]
    targets: Tensor  # as `Task` has them; -1 where unknown


class Loader(DataLoader[Batch]):
    """Batches of images, loaded by other processes or by this one."""

    def __iter__(self) -> Any:
        """An epoch's batches: their images may be kept, as `Turns` may not."""
        kept = self.num_workers == 0 or self.pin_memory  # new, or pinned, which copies
        for images, targets in _told(super().__iter__()):
            wanted = torch.from_numpy(targets)
            yield Batch(
                images if kept else images.clone(),
                wanted.pin_memory() if self.pin_memory else wanted,
            )


def _told(batches: Iterator[Any]) -> Iterator[Any]:
    """The same. Where a process dies while it hands a batch over, torch may find it alive still,
    and raise what the connection says.

    Raises:
        RuntimeError: as torch has it where it knows.
    """
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (ConnectionError, EOFError) as error:
            raise RuntimeError(f"DataLoader worker (pid unknown) is gone: {error!r}.") from error
        yield batch


class Loaders(NamedTuple):
    """What a model is trained with."""

    train: Loader
    valid: Loader


class Turns:
    """Tensors in shared memory that a process which loads for another fills in turn: new ones cost
    a page fault every 4 KiB, which can take as long as half of the decoding.
    """

    def __init__(self, count: int) -> None:
        """What `take` gave is given again after `count` - 1 others."""
        self._tensors = deque[Tensor](maxlen=count)

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """A uint8 tensor of `shape` to fill."""
        size, full = math.prod(shape), len(self._tensors) == self._tensors.maxlen
        if not full or self._tensors[0].numel() < size:
            self._tensors.append(torch.empty(size, dtype=torch.uint8).share_memory_())
        else:
            self._tensors.rotate(-1)
        return self._tensors[-1][:size].view(shape)


class Images(Dataset[Batch]):
    """Images of a store in a fixed order, made square."""

    def __init__(
        self,
        store: ImageSource,
        ids: list[str],
        targets: np.ndarray | None,
        *,
        transforms: Sequence[Augmentation],
        seed: int = 0,
    ) -> None:
        """The images `ids` of `store`, with their targets as `Task` has them; None: unknown.
        `transforms` are one a phase, all of one size.
        """
        self.store, self.ids, self.transforms, self.seed = store, ids, transforms, seed
        self.turns: Turns | None = None  # in a process that loads for another
        self.threads: ThreadPoolExecutor | None = None  # in one that loads for itself
        self.targets = torch.full((len(ids),), -1)
        if targets is not None:
            self.targets = torch.as_tensor(targets)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, draws: list[Draw]) -> Batch:
        """A whole batch at once, into one tensor. What is random follows from the seed, the epoch,
        the image's id and which time it is drawn.
        """
        size = self.transforms[0].size
        shape = (len(draws), size, size, 3)
        images = self.turns.take(shape) if self.turns else torch.empty(shape, dtype=torch.uint8)
        pixels = images.numpy()
        squares = iter(
            self.threads.map(self._square, draws) if self.threads else map(self._square, draws)
        )
        for slot, draw in enumerate(draws):
            image = self.ids[draw.row]
            watchdog.begin(f"image {image} in {self.store.folder}")
            key = seeding.digest(self.seed, draw.epoch, image, draw.repeat)
            pixels[slot] = self.transforms[draw.phase].augment(next(squares), key)
        watchdog.end()
        return Batch(images, self.targets[[draw.row for draw in draws]])

    def _square(self, draw: Draw) -> np.ndarray:
        return self.transforms[draw.phase].square(self.store.decode(self.ids[draw.row]))


class Order(Sampler[list[Draw]]):
    """The batches of an epoch: in the dataset's order, or drawn at random by (seed, epoch)."""

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        seed: int | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        """Batches of `count` rows. With a `seed` they are shuffled, or drawn with replacement by
        `weights` [count] where given; without the last batch if that is not full: a batch of one
        image has no batch statistics.
        """
        self.count, self.batch_size, self.seed, self.weights = count, batch_size, seed, weights
        self.epoch = self.phase = self.first = 0

    def __iter__(self) -> Iterator[list[Draw]]:
        rows, repeats = self._rows(), [0] * self.count
        if self.weights is not None:
            repeats = pd.Series(rows).groupby(rows).cumcount().tolist()
        draws = [
            Draw(row, self.epoch, repeat, self.phase)
            for row, repeat in zip(rows.tolist(), repeats, strict=True)
        ]
        for batch in range(self.first, len(self)):
            yield draws[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _rows(self) -> np.ndarray:
        if self.seed is None:
            return np.arange(self.count)
        rng = seeding.generator(self.seed, "order", self.epoch)
        if self.weights is None:
            return rng.permutation(self.count)
        return rng.choice(self.count, size=self.count, p=self.weights / self.weights.sum())

    def __len__(self) -> int:
        if self.seed is None:
            return math.ceil(self.count / self.batch_size)
        return max(1, self.count // self.batch_size)


def shuffled(images: Images, batch_size: int, *, workers: int) -> Loader:
    """Batches for training; set `.batch_sampler.epoch`, `.phase` and `.first` (the batch to
    begin with) before each pass."""
    return _loader(images, Order(len(images), batch_size=batch_size, seed=images.seed), workers)


def balanced(images: Images, batch_size: int, *, workers: int) -> Loader:
    """Likewise, but drawn with replacement, so that each class comes as often as another."""
    weights = 1 / torch.bincount(images.targets)[images.targets].numpy()
    order = Order(len(images), batch_size=batch_size, seed=images.seed, weights=weights)
    return _loader(images, order, workers)


def in_order(images: Images, batch_size: int, *, workers: int) -> Loader:
    """Batches for inference: every image once, in the order of `images`."""
    loader = _loader(images, Order(len(images), batch_size=batch_size), workers)
    # Decoding is all there is to do here, and the model's threads wait for it.
    images.threads = None if loader.num_workers else ThreadPoolExecutor(machine.worker_count())
    return loader


def _loader(images: Images, order: Order, workers: int) -> Loader:
    cv2.setNumThreads(0)  # the cores are busy: with a worker each, or with the model
    workers = min(workers, len(order))
    images.threads = None
    return Loader(
        images,
        batch_sampler=order,
        collate_fn=_packed,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=torch.cuda.is_available(),
        # Its own: each pass of a loader draws a seed, and from the global generator that would
        # shift the dropout of all that follows, by as many passes as there are.
        generator=torch.Generator(),
        worker_init_fn=_start_worker,
    )


def _packed(batch: Any) -> tuple[Tensor, np.ndarray]:
    """What goes from process to process: a tensor would go by a file of its own."""
    return batch.images, batch.targets.numpy()


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # Those ahead, and the one that is being copied on the other side.
    get_worker_info().dataset.turns = Turns(AHEAD + 1)  # type: ignore[union-attr]
    signals.die_with_parent()
    # A process group that is asked to end: the training writes a checkpoint, then ends its workers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
