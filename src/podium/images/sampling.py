"""Batch sampling as a function of the seed and the epoch."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch.utils.data import Sampler

from podium.core import seeding


class SampleIndex(NamedTuple):
    """One sample of a batch: its row, and what determines its augmentation."""

    row: int
    epoch: int = 0
    repeat: int = 0  # number of earlier draws of the row in this epoch (with replacement)
    phase: int = 0  # index of the dataset's augmentation


def adjacent(units: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The order in which the rows of each unit are adjacent, the units by their first rows; and
    the number of each row's unit in this order: both int64 [N].
    """
    codes, _ = pd.factorize(np.asarray(units, dtype=object))
    order = np.argsort(codes, kind="stable")
    return order, codes[order]


class EpochBatchSampler(Sampler[list[SampleIndex]]):
    """The batches of an epoch: in dataset order, or random, determined by (seed, epoch).

    What is drawn are examples: rows, or the rows of a unit, which are never apart.
    """

    def __init__(
        self,
        rows: int,
        *,
        batch_size: int,
        seed: int | None = None,
        weights: np.ndarray | None = None,
        units: np.ndarray | None = None,
    ) -> None:
        """Sample from `rows`. With a `seed`, examples are shuffled, or drawn with replacement in
        proportion to `weights` [examples], and an incomplete last batch is dropped, since a batch
        of one image has no batch statistics.

        `units` [rows] is the number of each row's unit; the rows of a unit are adjacent.
        `batch_size` counts examples, but in dataset order rows: as many whole units as it allows,
        at least one.
        """
        self.batch_size, self.seed, self.weights = batch_size, seed, weights
        starts = np.arange(rows) if units is None else np.flatnonzero(np.diff(units, prepend=-1))
        self.count = len(starts)  # of examples
        self._starts = [*starts.tolist(), rows]
        self._bounds = self._batch_bounds()  # of batches, in examples
        self.share = (0, 1, 1)
        self.set_epoch(0)

    @property
    def largest(self) -> int:
        """The rows of the largest batch that is possible."""
        starts = np.array(self._starts)
        if self.seed is None:
            return int(np.diff(starts[self._bounds]).max(initial=0))
        sizes = np.sort(np.diff(starts))[::-1]
        if self.weights is not None:  # the largest example may be drawn each time
            return int(sizes[0]) * min(self.batch_size, self.count)
        return int(sizes[: self.batch_size].sum())

    def set_epoch(self, epoch: int, *, phase: int = 0, first_batch: int = 0) -> None:
        """Set the next epoch, its phase, and its first batch."""
        self.epoch, self.phase, self.first_batch = epoch, phase, first_batch

    def set_share(self, begin: int, end: int, shards: int) -> None:
        """Of each batch, sample only the shards from `begin` up to `end`."""
        self.share = (begin, end, shards)

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        order, repeats = self._order()
        begin, end, shards = self.share
        for first, last in self._spans()[self.first_batch :]:
            size = last - first
            shard = slice(first + size * begin // shards, first + size * end // shards)
            yield self._samples(order[shard], repeats[shard])

    def batch(self, number: int) -> list[SampleIndex]:
        """The samples of one batch of the epoch, numbered from 0."""
        order, repeats = self._order()
        span = slice(*self._spans()[number])
        return self._samples(order[span], repeats[span])

    def _samples(self, examples: list[int], repeats: list[int]) -> list[SampleIndex]:
        return [
            SampleIndex(row, self.epoch, repeat, self.phase)
            for example, repeat in zip(examples, repeats, strict=True)
            for row in range(self._starts[example], self._starts[example + 1])
        ]

    def _order(self) -> tuple[list[int], list[int]]:
        """The epoch's examples, and how often each has been drawn before."""
        repeats = [0] * self.count
        if self.seed is None:
            return list(range(self.count)), repeats
        rng = seeding.generator(self.seed, "order", self.epoch)
        if self.weights is None:
            return rng.permutation(self.count).tolist(), repeats
        p = self.weights / self.weights.sum()
        drawn = rng.choice(self.count, size=self.count, p=p)
        return drawn.tolist(), pd.Series(drawn).groupby(drawn).cumcount().tolist()

    def _spans(self) -> list[tuple[int, int]]:
        return list(pairwise(self._bounds))

    def _batch_bounds(self) -> list[int]:
        size = self.batch_size
        if self.seed is not None:
            batches = max(1, self.count // size)
            return [min(number * size, self.count) for number in range(batches + 1)]
        bounds = [0]
        for example in range(1, self.count):
            if self._starts[example + 1] - self._starts[bounds[-1]] > size:
                bounds.append(example)
        return [*bounds, self.count] if self.count else bounds

    def __len__(self) -> int:
        return len(self._bounds) - 1
