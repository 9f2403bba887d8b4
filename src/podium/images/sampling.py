"""Which samples are in which batch of an epoch: a function of the seed and the epoch."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch.utils.data import Sampler

from podium.core import seeding


class SampleIndex(NamedTuple):
    """One sample of a batch: which row, and what determines its augmentation."""

    row: int
    epoch: int = 0
    repeat: int = 0  # how often the row was drawn before in this epoch (with replacement)
    phase: int = 0  # which of the dataset's augmentations


class EpochBatchSampler(Sampler[list[SampleIndex]]):
    """The batches of an epoch: in dataset order, or drawn at random from (seed, epoch)."""

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        seed: int | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        """Batches of `count` rows. With a `seed` rows are shuffled, or drawn with replacement by
        `weights` [count]; an incomplete last batch is then dropped, since a batch of one image has
        no batch statistics.
        """
        self.count, self.batch_size, self.seed, self.weights = count, batch_size, seed, weights
        self.set_epoch(0)

    def set_epoch(self, epoch: int, *, phase: int = 0, first_batch: int = 0) -> None:
        """Choose the epoch to draw next, its phase, and the batch to start from."""
        self.epoch, self.phase, self.first_batch = epoch, phase, first_batch

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        samples = self._samples()
        for begin in range(self.first_batch * self.batch_size, len(self) * self.batch_size,
                           self.batch_size):  # fmt: skip
            yield samples[begin : begin + self.batch_size]

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
