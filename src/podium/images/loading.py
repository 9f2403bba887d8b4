"""Batches of images: uint8 until they reach the device, the same for any number of workers."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from podium.core import machine, seeding
from podium.images import watchdog, workers
from podium.images.augment import Augmentation
from podium.images.sampling import EpochBatchSampler, SampleIndex
from podium.images.store import ImageSource

LOST_SECONDS = 40.0  # without any worker loading a batch that the main process waits for


class Batch(NamedTuple):
    """Inputs with their targets."""

    inputs: dict[str, Tensor]  # see `models.inputs.Inputs`
    targets: Tensor  # as `Task` encodes them; -1 if unknown


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
        metadata: np.ndarray | None = None,
        units: np.ndarray | None = None,
    ) -> None:
        """The images `ids` of `store`, with targets as `Task` encodes them (None: unknown).
        `transforms` has one augmentation per phase, all with the same output size; `metadata` has
        one row per image: float32 [N, D]. `units` [N]: the number of each image's unit, if units
        are examples, not images. The images of a unit are adjacent and have the same target.
        """
        self.store, self.ids, self.transforms, self.seed = store, ids, transforms, seed
        self.buffers: workers.SharedBuffers | None = None  # in a worker process
        self.busy = torch.zeros(0, dtype=torch.bool)  # per worker, in shared memory
        self.shares_memory = True  # whether workers send batches in shared memory
        unknown = np.full(len(ids), -1)
        self.targets = torch.as_tensor(unknown if targets is None else targets)
        self.metadata = None if metadata is None else torch.as_tensor(metadata)
        self.units = units

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, samples: list[SampleIndex]) -> Batch:
        """Load a whole batch into one tensor. Augmentation depends only on the seed, the epoch, the
        image id and the repeat.
        """
        if worker := get_worker_info():
            self.busy[worker.id] = True
        shape = (len(samples), self.size, self.size, self.store.channels)
        images = self.buffers.take(shape) if self.buffers else torch.empty(shape, dtype=torch.uint8)
        pixels = images.numpy()
        for slot, sample in enumerate(samples):
            self.watch(sample)
            key = seeding.digest(self.seed, sample.epoch, self.ids[sample.row], sample.repeat)
            pixels[slot] = self.transforms[sample.phase].augment(self.square(sample), key)
        watchdog.end()
        if worker:
            self.busy[worker.id] = False
        return self.batch(images, samples)

    def batch(self, images: Tensor, samples: Sequence[SampleIndex]) -> Batch:
        """Build a batch from images and the other data of their samples."""
        rows = [sample.row for sample in samples]
        inputs = {"image": images}
        if self.metadata is not None:
            inputs["metadata"] = self.metadata[rows]
        if self.units is None:
            return Batch(inputs, self.targets[rows])
        # Drawn with replacement, a unit may follow itself.
        drawn = [(self.units[sample.row], sample.repeat) for sample in samples]
        sizes = [len([*group]) for _, group in groupby(drawn)]
        inputs["unit_sizes"] = torch.tensor(sizes)
        first = [0, *accumulate(sizes[:-1])]
        return Batch(inputs, self.targets[rows][first])

    def largest(self, count: int) -> "Images":
        """The first `count` images only, or the `count` units with the most images."""
        rows = np.arange(min(count, len(self)))
        if self.units is not None:
            units, sizes = np.unique(self.units, return_counts=True)
            largest = units[np.argsort(-sizes, kind="stable")[:count]]
            rows = np.flatnonzero(np.isin(self.units, largest))
        return Images(
            self.store,
            [self.ids[row] for row in rows],
            self.targets[rows].numpy(),
            transforms=self.transforms,
            seed=self.seed,
            metadata=None if self.metadata is None else self.metadata[rows].numpy(),
            units=None if self.units is None else self.units[rows],
        )

    @property
    def unit_sizes(self) -> np.ndarray | None:
        """How many images each unit has, the largest first: int64 [U]; None without units."""
        if self.units is None:
            return None
        sizes: np.ndarray = np.sort(np.unique(self.units, return_counts=True)[1])[::-1]
        return sizes

    @property
    def first(self) -> np.ndarray:
        """The row of the first image of each example: int64 [examples]."""
        if self.units is None:
            return np.arange(len(self))
        return np.flatnonzero(np.diff(self.units, prepend=-1))

    @property
    def size(self) -> int:
        """The height and width of the images, in pixels."""
        return self.transforms[0].size

    def watch(self, sample: SampleIndex) -> None:
        """Let the process end if reading this image takes too long."""
        image_id = self.ids[sample.row]
        watchdog.begin(f"reading image {image_id} in {self.store.folder} (hung disk?)")

    def square(self, sample: SampleIndex) -> np.ndarray:
        """Decode an image and do what is not random: thread-safe."""
        return self.transforms[sample.phase].square(self.store.decode(self.ids[sample.row]))


class Loader(DataLoader[Batch]):
    """Batches of images, loaded by worker processes or by this one."""

    dataset: Images
    batch_sampler: EpochBatchSampler

    def __iter__(self) -> Any:
        """Yield an epoch's batches. The caller may keep their tensors, unlike `SharedBuffers`.

        A batch that no worker is loading any more ends the process, see `watchdog`.

        Raises:
            RuntimeError: as torch raises it for a dead worker, also if a worker dies while sending
                a batch. torch may then consider it alive and raise a connection error.
        """
        batches = super().__iter__()
        while (batch := self._next(batches)) is not None:
            inputs, targets = batch
            own = {name: self._own(values) for name, values in inputs.items()}
            yield Batch(own, self._own(targets))

    def _next(self, batches: Iterator[Any]) -> Any:
        if self.num_workers:
            busy = self.dataset.busy  # not `self`: the watching thread must not be last to hold it
            watchdog.begin(
                "waiting for a batch that no DataLoader worker is loading. Rerun to resume. If it "
                f"happens again, set {machine.WORKERS_VARIABLE}=0.",
                seconds=LOST_SECONDS,
                is_busy=lambda: bool(busy.any()),
            )
        try:
            return next(batches, None)
        except (ConnectionError, EOFError) as error:
            raise RuntimeError(f"DataLoader worker (pid unknown) is gone: {error!r}.") from error
        finally:
            watchdog.end()

    def _own(self, values: Tensor | np.ndarray) -> Tensor:
        if isinstance(values, np.ndarray):
            tensor = torch.from_numpy(values)
            return tensor.pin_memory() if self.pin_memory else tensor
        return values if self.pin_memory else values.clone()  # pinning has copied them


def shuffled(images: Images, batch_size: int, *, workers: int, balanced: bool = False) -> Loader:
    """Training batches; call `.batch_sampler.set_epoch` before each pass."""
    return _loader(images, random_order(images, batch_size, balanced=balanced), workers)


def random_order(images: Images, batch_size: int, *, balanced: bool = False) -> EpochBatchSampler:
    """Shuffled batches, or `balanced` ones: drawn with replacement, each class equally often."""
    weights = None
    if balanced:
        targets = images.targets[images.first]
        soft = targets.ndim > 1  # class probabilities
        classes = targets.argmax(dim=1) if soft else targets
        weights = 1 / torch.bincount(classes)[classes].numpy()
    return EpochBatchSampler(
        len(images),
        batch_size=batch_size,
        seed=images.seed,
        weights=weights,
        units=images.units,
    )


def _loader(images: Images, sampler: EpochBatchSampler, num_workers: int) -> Loader:
    cv2.setNumThreads(0)  # the cores are busy with workers or with the model
    num_workers = min(num_workers, len(sampler))
    if num_workers:
        workers.use_short_socket_paths()
        images.busy = torch.zeros(num_workers, dtype=torch.bool).share_memory_()
        batch_bytes = sampler.largest * images.size**2 * images.store.channels
        images.shares_memory = workers.fit_shared_memory(num_workers, batch_bytes=batch_bytes)
    return Loader(
        images,
        batch_sampler=sampler,
        collate_fn=_pack,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        prefetch_factor=workers.PREFETCH_BATCHES if num_workers else None,
        pin_memory=torch.cuda.is_available(),
        # A DataLoader draws a seed per pass. From the global generator, that would change all later
        # dropout masks.
        generator=torch.Generator(),
        worker_init_fn=workers.start,
    )


def _pack(batch: Any) -> tuple[dict[str, Tensor | np.ndarray], np.ndarray]:
    """Convert what a worker sends to NumPy arrays, unless it is in shared memory already: torch
    would create a shared-memory file per tensor.
    """
    packed = {name: t if t.is_shared() else t.numpy() for name, t in batch.inputs.items()}
    return packed, batch.targets.numpy()
