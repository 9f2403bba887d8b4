"""Decoded images, kept in memory as far as it goes: most of a loader's time is decoding."""

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

CHUNK = 2**26  # bytes of images that lie together: a shared file each where processes are spawned


class Cache:
    """Some images of a store, decoded: gives what the store gives, for all of its images.

    The pixels lie in few tensors, which the processes that load images share.
    """

    def __init__(self, store: ImageSource) -> None:
        """None of the images of `store` yet."""
        self.store, self.folder = store, store.folder
        self._chunks: list[torch.Tensor] = []  # uint8 [bytes]
        self._places: dict[str, tuple[int, int, tuple[int, ...]]] = {}  # chunk, first byte, shape

    def fill(self, ids: Sequence[str], *, budget: int) -> None:
        """Decode the images `ids`, on all cores, until `budget` bytes are full.

        Raises:
            UserError: as `store.decode`.
        """
        part: list[np.ndarray] = []
        total = size = 0
        with closing(_decoded(self.store, ids if budget else [])) as decoded:
            for image, pixels in decoded:
                if total + pixels.size > budget:
                    break
                if size + pixels.size > CHUNK and part:
                    self._chunks.append(_chunk(part))
                    part, size = [], 0
                self._places[image] = (len(self._chunks), size, pixels.shape)
                part.append(pixels.reshape(-1))
                size, total = size + pixels.size, total + pixels.size
        if part:
            self._chunks.append(_chunk(part))
        if budget:
            console.say(
                f"{len(self._places)} of {len(ids)} images are kept in memory, decoded: "
                f"{total / 2**20:.0f} of {budget / 2**20:.0f} MiB"
            )

    def decode(self, image: str) -> np.ndarray:
        """As the store's: uint8 [H, W, 3], RGB, and the caller's to change."""
        if image not in self._places:
            return self.store.decode(image)
        chunk, begin, shape = self._places[image]
        height, width, channels = shape
        pixels = self._chunks[chunk][begin : begin + height * width * channels]
        return pixels.numpy().reshape(shape).copy()


def _decoded(
    store: ImageSource, ids: Sequence[str]
) -> Generator[tuple[str, np.ndarray], None, None]:
    """The images in their order, decoded by threads, a few ahead of what is taken."""
    threads = machine.worker_count()
    ahead, waiting = deque[tuple[str, Future[np.ndarray]]](), iter(ids)
    try:
        with ThreadPoolExecutor(threads) as pool:
            while True:
                for image in islice(waiting, threads + 1 - len(ahead)):
                    ahead.append((image, pool.submit(store.decode, image)))
                if not ahead:
                    break
                image, pixels = ahead.popleft()
                watchdog.begin(f"image {image} in {store.folder}")
                yield image, pixels.result()
    finally:
        watchdog.end()


def _chunk(parts: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts))
