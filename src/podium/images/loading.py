"""Batches of images: uint8 until they reach the device, the same for any number of workers."""

import math
import signal
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from podium.core import machine, seeding, signals
from podium.images import watchdog
from podium.images.augment import Augmentation
from podium.images.sampling import EpochBatchSampler, SampleIndex
from podium.images.store import ImageSource

PREFETCH_BATCHES = 2  # per worker


class Batch(NamedTuple):
    """Inputs with their targets."""

    inputs: dict[str, Tensor]  # "image": uint8 [B, size, size, 3]; `models.inputs` uses them
    targets: Tensor  # as `Task` encodes them; -1 if unknown


class SharedBuffers:
    """A ring of shared-memory tensors that a loader worker reuses: newly allocated memory costs a
    page fault per 4 KiB, which can take half as long as decoding.
    """

    def __init__(self, count: int) -> None:
        """`take` reuses a tensor after `count` - 1 others."""
        self._tensors = deque[Tensor](maxlen=count)

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Return a uint8 tensor of `shape` to fill."""
        size, full = math.prod(shape), len(self._tensors) == self._tensors.maxlen
        if not full or self._tensors[0].numel() < size:
            self._tensors.append(torch.empty(size, dtype=torch.uint8).share_memory_())
        else:
            self._tensors.rotate(-1)
        return self._tensors[-1][:size].view(shape)


class Images(Dataset[Batch]):
    """Square images from a store in a fixed order, with targets."""

    def __init__(
        self,
        store: ImageSource,
        ids: list[str],
        targets: np.ndarray | None,
        *,
        transforms: Sequence[Augmentation],
        seed: int = 0,
    ) -> None:
        """The images `ids` of `store`, with targets as `Task` encodes them (None: unknown).
        `transforms` has one augmentation per phase, all with the same output size.
        """
        self.store, self.ids, self.transforms, self.seed = store, ids, transforms, seed
        self.buffers: SharedBuffers | None = None  # in a worker process
        self.threads: ThreadPoolExecutor | None = None  # in a process without workers
        unknown = np.full(len(ids), -1)
        self.targets = torch.as_tensor(unknown if targets is None else targets)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, samples: list[SampleIndex]) -> Batch:
        """Load a whole batch into one tensor. Augmentation depends only on the seed, the epoch, the
        image id and the repeat.
        """
        size = self.transforms[0].size
        shape = (len(samples), size, size, 3)
        images = self.buffers.take(shape) if self.buffers else torch.empty(shape, dtype=torch.uint8)
        pixels = images.numpy()
        squares = (self.threads.map if self.threads else map)(self._square, samples)
        for slot, sample in enumerate(samples):
            image_id = self.ids[sample.row]
            watchdog.begin(f"image {image_id} in {self.store.folder}")
            key = seeding.digest(self.seed, sample.epoch, image_id, sample.repeat)
            pixels[slot] = self.transforms[sample.phase].augment(next(squares), key)
        watchdog.end()
        return Batch({"image": images}, self.targets[[sample.row for sample in samples]])

    def _square(self, sample: SampleIndex) -> np.ndarray:
        return self.transforms[sample.phase].square(self.store.decode(self.ids[sample.row]))


class Loader(DataLoader[Batch]):
    """Batches of images, loaded by worker processes or by this one."""

    dataset: Images
    batch_sampler: EpochBatchSampler

    def __iter__(self) -> Any:
        """Yield an epoch's batches. The caller may keep their tensors, unlike `SharedBuffers`.

        Raises:
            RuntimeError: as torch raises it for a dead worker, also if a worker dies while sending
                a batch. torch may then consider it alive and raise a connection error.
        """
        try:
            for inputs, targets in super().__iter__():
                own = {name: self._own(values) for name, values in inputs.items()}
                yield Batch(own, self._own(targets))
        except (ConnectionError, EOFError) as error:
            raise RuntimeError(f"DataLoader worker (pid unknown) is gone: {error!r}.") from error

    def _own(self, values: Tensor | np.ndarray) -> Tensor:
        if isinstance(values, np.ndarray):
            tensor = torch.from_numpy(values)
            return tensor.pin_memory() if self.pin_memory else tensor
        return values if self.pin_memory else values.clone()  # pinning has copied them


class Loaders(NamedTuple):
    """The batches to train and validate a model with."""

    train: Loader
    valid: Loader


def shuffled(images: Images, batch_size: int, *, workers: int, balanced: bool = False) -> Loader:
    """Training batches; call `.batch_sampler.set_epoch` before each pass. `balanced` ones are drawn
    with replacement, with equal class probabilities.
    """
    weights = None
    if balanced:
        weights = 1 / torch.bincount(images.targets)[images.targets].numpy()
    sampler = EpochBatchSampler(
        len(images), batch_size=batch_size, seed=images.seed, weights=weights
    )
    return _loader(images, sampler, workers)


def in_order(images: Images, batch_size: int, *, workers: int) -> Loader:
    """Batches for inference: each image once, in the order of `images`."""
    loader = _loader(images, EpochBatchSampler(len(images), batch_size=batch_size), workers)
    # Without workers the model waits while images are decoded: use all cores for that.
    images.threads = None if loader.num_workers else ThreadPoolExecutor(machine.worker_count())
    return loader


def _loader(images: Images, sampler: EpochBatchSampler, workers: int) -> Loader:
    cv2.setNumThreads(0)  # the cores are busy with workers or with the model
    workers = min(workers, len(sampler))
    images.threads = None
    return Loader(
        images,
        batch_sampler=sampler,
        collate_fn=_pack,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=PREFETCH_BATCHES if workers else None,
        pin_memory=torch.cuda.is_available(),
        # A DataLoader draws a seed per pass. From the global generator, that would change all later
        # dropout masks.
        generator=torch.Generator(),
        worker_init_fn=_start_worker,
    )


def _pack(batch: Any) -> tuple[dict[str, Tensor | np.ndarray], np.ndarray]:
    """Convert what a worker sends to NumPy arrays, unless it is in shared memory already: torch
    would create a shared-memory file per tensor.
    """
    packed = {name: t if t.is_shared() else t.numpy() for name, t in batch.inputs.items()}
    return packed, batch.targets.numpy()


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # The prefetched batches, and the one that the main process is copying.
    get_worker_info().dataset.buffers = SharedBuffers(PREFETCH_BATCHES + 1)  # type: ignore[union-attr]
    signals.die_with_parent()
    # On a signal to the process group, the main process writes a checkpoint, then ends its workers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
