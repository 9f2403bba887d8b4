"""Batch sampling as a function of the seed and the epoch."""

import math
from collections.abc import Iterator
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


class EpochBatchSampler(Sampler[list[SampleIndex]]):
    """The batches of an epoch: in dataset order, or random, determined by (seed, epoch)."""

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        seed: int | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        """Sample from `count` rows. With a `seed`, rows are shuffled, or drawn with replacement in
        proportion to `weights` [count], and an incomplete last batch is dropped, since a batch of
        one image has no batch statistics.
        """
        self.count, self.batch_size, self.seed, self.weights = count, batch_size, seed, weights
        self.share = (0, 1, 1)
        self.set_epoch(0)

    def set_epoch(self, epoch: int, *, phase: int = 0, first_batch: int = 0) -> None:
        """Set the next epoch, its phase, and its first batch."""
        self.epoch, self.phase, self.first_batch = epoch, phase, first_batch

    def set_share(self, begin: int, end: int, shards: int) -> None:
        """Of each batch, sample only the shards from `begin` up to `end`."""
        self.share = (begin, end, shards)

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        samples, size = self._samples(), self.batch_size
        begin, end, shards = self.share
        for number in range(self.first_batch, len(self)):
            batch = samples[number * size : (number + 1) * size]
            yield batch[len(batch) * begin // shards : len(batch) * end // shards]

    def batch(self, number: int) -> list[SampleIndex]:
        """The samples of one batch of the epoch, numbered from 0."""
        begin = number * self.batch_size
        return self._samples()[begin : begin + self.batch_size]

    def _samples(self) -> list[SampleIndex]:
        rows, repeats = self._rows(), [0] * self.count
        if self.weights is not None:
            repeats = pd.Series(rows).groupby(rows).cumcount().tolist()
        return [
            SampleIndex(row, self.epoch, repeat, self.phase)
            for row, repeat in zip(rows.tolist(), repeats, strict=True)
        ]

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
