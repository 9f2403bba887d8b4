"""A cache of decoded images in memory: decoding takes most of a loader's time."""

import math
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import accumulate, islice
from typing import NamedTuple

import numpy as np
import torch

from podium.core import console, machine
from podium.images import watchdog
from podium.images.store import ImageSource

MAX_BLOCK_BYTES = 2**26  # per tensor; with spawned workers each is a shared file
SMALL_BYTES = 2**15  # copying an image takes less time than starting a thread's task


class OnDevice(NamedTuple):
    """Decoded images in a device's memory."""

    pixels: torch.Tensor  # uint8 [P, C]
    places: dict[str, tuple[int, int, int]]  # by id: the first pixel's position, height, width


class Cache:
    """An image source that keeps some of a store's images decoded and reads the others from it.

    The pixels are in few tensors, which worker processes share.
    """

    def __init__(self, store: ImageSource) -> None:
        """Start empty."""
        self.store, self.folder, self.channels = store, store.folder, store.channels
        self._blocks: list[torch.Tensor] = []  # uint8 [bytes]
        self._index: dict[str, tuple[int, int, tuple[int, ...]]] = {}  # block, first byte, shape

    def fill(self, ids: Sequence[str], *, budget: int) -> None:
        """Decode the images `ids`, on all cores, until they would exceed `budget` bytes.

        Raises:
            UserError: as `store.decode`.
        """
        if not budget:
            return
        total = used = 0  # bytes in all blocks, and in the last
        threads, copies = machine.worker_count(), deque[Future[None]]()
        # Threads copy, too: the first write to a page of new memory is slow.
        with (
            closing(_decode_ahead(self.store, ids)) as images,
            ThreadPoolExecutor(threads) as pool,
        ):
            for image_id, pixels in images:
                if total + pixels.size > budget:
                    break
                if not self._blocks or used + pixels.size > len(self._blocks[-1]):
                    size = max(pixels.size, min(MAX_BLOCK_BYTES, budget - total))
                    self._blocks.append(torch.empty(size, dtype=torch.uint8))
                    used = 0
                self._index[image_id] = (len(self._blocks) - 1, used, pixels.shape)
                target = self._blocks[-1].numpy()[used : used + pixels.size]
                if pixels.size < SMALL_BYTES:
                    target[:] = pixels.reshape(-1)
                else:
                    copies.append(pool.submit(np.copyto, target, pixels.reshape(-1)))
                if len(copies) > threads:
                    copies.popleft().result()
                used, total = used + pixels.size, total + pixels.size
            for copy in copies:
                copy.result()
        console.say(
            f"cached {len(self._index)} of {len(ids)} decoded images in memory "
            f"({total / 2**20:.0f} of {budget / 2**20:.0f} MiB)"
        )

    def decode(self, image_id: str) -> np.ndarray:
        """As `store.decode`: uint8 [H, W, C]. The caller may modify it."""
        if image_id not in self._index:
            return self.store.decode(image_id)
        block, begin, shape = self._index[image_id]
        pixels = self._blocks[block][begin : begin + math.prod(shape)]
        return pixels.numpy().reshape(shape).copy()

    def on_device(
        self, ids: Sequence[str], device: torch.device, *, budget: int
    ) -> OnDevice | None:
        """Copy all cached images to `device`; None if they exceed `budget` bytes, or not all of
        `ids` are cached.
        """
        channels = self.channels
        sizes = [block.numel() // channels for block in self._blocks]  # in pixels
        if channels * sum(sizes) > budget or not all(image_id in self._index for image_id in ids):
            return None
        pixels = torch.empty((sum(sizes), channels), dtype=torch.uint8, device=device)
        first = [0, *accumulate(sizes)]
        for block, begin, size in zip(self._blocks, first, sizes, strict=False):
            pixels[begin : begin + size].copy_(block[: channels * size].view(-1, channels))
        places = {
            image_id: (first[block] + begin // channels, shape[0], shape[1])
            for image_id, (block, begin, shape) in self._index.items()
        }
        return OnDevice(pixels, places)


def _decode_ahead(
    store: ImageSource, ids: Sequence[str]
) -> Generator[tuple[str, np.ndarray], None, None]:
    """Yield the images in order, decoded by threads a few images ahead."""
    threads = machine.worker_count()
    pending, remaining = deque[tuple[str, Future[np.ndarray]]](), iter(ids)
    try:
        with ThreadPoolExecutor(threads) as pool:
            while True:
                for image_id in islice(remaining, threads + 1 - len(pending)):
                    pending.append((image_id, pool.submit(store.decode, image_id)))
                if not pending:
                    break
                image_id, future = pending.popleft()
                watchdog.begin(f"reading image {image_id} in {store.folder} (hung disk?)")
                yield image_id, future.result()
    finally:
        watchdog.end()
