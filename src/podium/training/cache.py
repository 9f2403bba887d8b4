"""A cache of decoded images in memory: decoding takes most of a loader's time."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import numpy as np
import torch

from podium.core import console, machine
from podium.images import watchdog
from podium.images.store import ImageSource

MAX_BLOCK_BYTES = 2**26  # per tensor; with spawned workers each is a shared file


class Cache:
    """An image source that keeps some of a store's images decoded and reads the others from it.

    The pixels are in few tensors, which worker processes share.
    """

    def __init__(self, store: ImageSource) -> None:
        """Start empty."""
        self.store, self.folder = store, store.folder
        self._blocks: list[torch.Tensor] = []  # uint8 [bytes]
        self._index: dict[str, tuple[int, int, tuple[int, ...]]] = {}  # block, first byte, shape

    def fill(self, ids: Sequence[str], *, budget: int) -> None:
        """Decode the images `ids`, on all cores, until they would exceed `budget` bytes.

        Raises:
            UserError: as `store.decode`.
        """
        block: list[np.ndarray] = []
        total = block_size = 0
        with closing(_decode_ahead(self.store, ids if budget else [])) as images:
            for image_id, pixels in images:
                if total + pixels.size > budget:
                    break
                if block_size + pixels.size > MAX_BLOCK_BYTES and block:
                    self._blocks.append(_concatenate(block))
                    block, block_size = [], 0
                self._index[image_id] = (len(self._blocks), block_size, pixels.shape)
                block.append(pixels.reshape(-1))
                block_size, total = block_size + pixels.size, total + pixels.size
        if block:
            self._blocks.append(_concatenate(block))
        if budget:
            console.say(
                f"cached {len(self._index)} of {len(ids)} decoded images in memory "
                f"({total / 2**20:.0f} of {budget / 2**20:.0f} MiB)"
            )

    def decode(self, image_id: str) -> np.ndarray:
        """As `store.decode`: uint8 [H, W, 3], RGB. The caller may modify it."""
        if image_id not in self._index:
            return self.store.decode(image_id)
        block, begin, shape = self._index[image_id]
        height, width, channels = shape
        pixels = self._blocks[block][begin : begin + height * width * channels]
        return pixels.numpy().reshape(shape).copy()


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
                watchdog.begin(f"image {image_id} in {store.folder}")
                yield image_id, future.result()
    finally:
        watchdog.end()


def _concatenate(arrays: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(arrays))
