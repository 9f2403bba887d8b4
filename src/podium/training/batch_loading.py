"""Training batches that are augmented on the device, where the decoded images stay if they fit."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from podium.core import machine, seeding
from podium.images import watchdog
from podium.images.loading import Batch, Images
from podium.images.sampling import EpochBatchSampler, SampleIndex
from podium.models.device import memory_bytes
from podium.training.batch_augment import BatchAugmentation, Draw
from podium.training.cache import Cache, OnDevice

AHEAD = 2  # batches that are prepared while a GPU works; a CPU has no time for them
# Of a GPU's memory, for decoded images. `make batch-size` leaves a tenth.
MEMORY_SHARE = 0.08
SAMPLE = 32  # images whose sizes stand for all


class _Prepared(NamedTuple):
    """A batch without its pixels' augmentation."""

    pixels: Tensor  # uint8 [P, C]
    first: list[int]  # the position of each image's first pixel
    widths: list[int]
    draws: list[Draw]
    samples: Sequence[SampleIndex]


def fits_memory(images: Images, device: torch.device) -> bool:
    """Whether all decoded images have room in a GPU's memory, as estimated from a few of them."""
    total, step = 0, math.ceil(len(images.ids) / SAMPLE)
    for row in range(0, len(images.ids), step):
        images.watch(SampleIndex(row))
        total += step * images.store.decode(images.ids[row]).size
    watchdog.end()
    return total <= _budget(device)


def _budget(device: torch.device) -> int:
    return round(MEMORY_SHARE * memory_bytes(device))


class BatchLoader:
    """Batches like those of `loading.Loader`: the same samples with the same random parameters, as
    float32 on the device instead of uint8.
    """

    def __init__(
        self,
        images: Images,
        sampler: EpochBatchSampler,
        device: torch.device,
        *,
        resident: bool = True,
    ) -> None:
        """Load `images` for `device`, which keeps the decoded images if it has room for all of them
        and `resident` allows it.

        Raises:
            UserError: if one of their transforms cannot run in batches.
        """
        self.dataset, self.batch_sampler, self.device = images, sampler, device
        self._augmentations = [BatchAugmentation(transform) for transform in images.transforms]
        self._ahead = 0 if device.type == "cpu" else AHEAD
        self._resident: OnDevice | None = None
        self._budget = 0
        if resident and device.type == "cuda":
            self._budget = _budget(device)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield an epoch's batches.

        Raises:
            UserError: as `store.decode`.
        """
        store = self.dataset.store
        if self._resident is None and self._budget and isinstance(store, Cache):
            self._resident = store.on_device(self.dataset.ids, self.device, budget=self._budget)
        # One thread, since the transforms share their generators.
        drawing, decoding = ThreadPoolExecutor(1), ThreadPoolExecutor(machine.worker_count())
        try:
            pending, remaining = deque[Future[_Prepared]](), iter(self.batch_sampler)
            while True:
                while (
                    len(pending) <= self._ahead and (samples := next(remaining, None)) is not None
                ):
                    pending.append(drawing.submit(self._prepare, samples, decoding))
                if not pending:
                    break
                yield self._augment(pending.popleft().result())
        finally:
            drawing.shutdown(cancel_futures=True)
            decoding.shutdown()
            watchdog.end()

    def _prepare(self, samples: list[SampleIndex], decoding: ThreadPoolExecutor) -> _Prepared:
        images = self.dataset
        ids = [images.ids[sample.row] for sample in samples]
        if self._resident is not None:
            pixels, places = self._resident.pixels, [self._resident.places[i] for i in ids]
        else:
            arrays, decoded = [], decoding.map(images.store.decode, ids)
            for sample in samples:
                images.watch(sample)
                arrays.append(torch.from_numpy(next(decoded)))
            watchdog.end()
            sizes = torch.tensor([0, *(array.shape[0] * array.shape[1] for array in arrays)])
            first = sizes.cumsum(0).tolist()
            places = [(begin, *a.shape[:2]) for begin, a in zip(first, arrays, strict=False)]
            pixels = torch.cat([array.view(-1, images.store.channels) for array in arrays])
            pixels = pixels.pin_memory() if self.device.type == "cuda" else pixels
        draws = []
        for sample, image_id, (_, height, width) in zip(samples, ids, places, strict=True):
            key = seeding.digest(images.seed, sample.epoch, image_id, sample.repeat)
            draws.append(self._augmentations[sample.phase].draw(height, width, key))
        return _Prepared(
            pixels, [place[0] for place in places], [place[2] for place in places], draws, samples
        )

    def _augment(self, prepared: _Prepared) -> Batch:
        pixels, first, widths, draws, samples = prepared
        augmentation = self._augmentations[samples[0].phase]
        on_device = pixels.to(self.device, non_blocking=True)
        images = augmentation.apply(on_device, first, widths, draws)
        batch = self.dataset.batch(images, samples)
        pin = self.device.type == "cuda"
        return batch._replace(targets=batch.targets.pin_memory() if pin else batch.targets)


class FeatureLoader:
    """Batches of the features of `images`, float32 [N, D], in place of their pixels."""

    def __init__(self, images: Images, sampler: EpochBatchSampler, features: Tensor) -> None:
        self.dataset, self.batch_sampler, self.features = images, sampler, features

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        for samples in self.batch_sampler:
            rows = [sample.row for sample in samples]
            yield self.dataset.batch(self.features[rows], samples)
