"""Images in order, without augmentation, for validation and prediction: loaded by threads.

Decoding and resizing leave Python's lock to others, so threads keep all cores busy. They start in
no time, where one worker process per core took seconds for each pass.
"""

import math
import threading
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from podium.core import machine
from podium.images import watchdog
from podium.images.augment import Augmentation
from podium.images.loading import Batch, Images
from podium.images.sampling import EpochBatchSampler, SampleIndex
from podium.images.store import ImageSource

WATCH_SECONDS = 0.5  # between two looks at which image a thread is loading
AHEAD = 3  # batches that are loaded while a GPU works; a CPU has no time for them


class _Part:
    """The images of a batch that one thread loads, by position."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end, self.current = begin, end, begin


class _Started(NamedTuple):
    """A batch that is being loaded."""

    samples: list[SampleIndex]
    pixels: Tensor
    parts: list[tuple[_Part, Future[None]]]


class InOrder:
    """Batches of images, each once, in the order of `dataset`."""

    def __init__(
        self, images: Images, batch_size: int, *, device: str = "cpu", keep: bool = False
    ) -> None:
        """Batches for a network on `device`. With `keep`, the first pass keeps the square images
        for those that follow, if they fit in the memory for decoded images.
        """
        cv2.setNumThreads(0)  # the cores are busy with threads or with the model
        self.dataset = images
        if device == "cuda" and len(images):  # cuDNN prepares for each size: make them equal
            batch_size = math.ceil(len(images) / math.ceil(len(images) / batch_size))
        self.batch_sampler = EpochBatchSampler(
            len(images), batch_size=batch_size, units=images.units
        )
        self.ahead = 0 if device == "cpu" else AHEAD
        needed = len(images) * images.store.channels * images.size**2
        self.kept_bytes = needed if keep and needed <= machine.cache_bytes() else 0
        self._kept: list[Batch] = []
        self._pin = device == "cuda"

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches. The caller may keep their tensors, but not change them.

        Raises:
            UserError: as `store.decode`.
        """
        if self._kept:
            yield from self._kept
            return
        loaded: list[Batch] = []
        pool, ended = ThreadPoolExecutor(machine.worker_count()), threading.Event()
        try:
            started, remaining = deque[_Started](), iter(self.batch_sampler)
            while True:
                while len(started) <= self.ahead and (samples := next(remaining, None)):
                    started.append(self._start(samples, pool, ended))
                if not started:
                    break
                batch = self._finish(started.popleft())
                if self.kept_bytes:
                    loaded.append(batch)
                yield batch
            self._kept = loaded
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            watchdog.end()

    def _start(
        self, samples: list[SampleIndex], pool: ThreadPoolExecutor, ended: threading.Event
    ) -> _Started:
        images, size, count = self.dataset, self.dataset.size, len(samples)
        shape = (count, size, size, images.store.channels)
        tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=self._pin)
        pixels = tensor.numpy()

        def load(part: _Part) -> None:
            for slot in range(part.begin, part.end):
                if ended.is_set():  # the caller wants no more batches
                    return
                part.current = slot
                pixels[slot] = images.square(samples[slot])

        step = math.ceil(count / machine.worker_count())  # a task per image would cost more
        parts = [_Part(begin, min(begin + step, count)) for begin in range(0, count, step)]
        return _Started(samples, tensor, [(part, pool.submit(load, part)) for part in parts])

    def _finish(self, started: _Started) -> Batch:
        for part, future in started.parts:
            current = -1
            while not future.done():
                if current != part.current:
                    current = part.current
                    self.dataset.watch(started.samples[current])
                futures.wait([future], timeout=WATCH_SECONDS)
            future.result()
        watchdog.end()
        return self.dataset.batch(started.pixels, started.samples)


def for_inference(
    store: ImageSource,
    ids: list[str],
    *,
    size: int,
    resize_mode: str,
    batch_size: int,
    device: str = "cpu",
    metadata: np.ndarray | None = None,
    units: np.ndarray | None = None,
) -> InOrder:
    """Batches of the images `ids` without targets, in order, with their `metadata` [N, D] and
    `units` [N] as `Images` takes them.
    """
    plain = Augmentation("none", size=size, resize_mode=resize_mode, channels=store.channels)
    images = Images(store, ids, None, transforms=[plain], metadata=metadata, units=units)
    return InOrder(images, batch_size, device=device)
