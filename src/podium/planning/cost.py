"""The time of the pipeline's parts, from what a few steps, batches and images took."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

HEAD_GROWTH = 0.4  # of a head's time per value, with the number of values


class HeadTime(NamedTuple):
    """How long it takes to fit a probe's head in one fold."""

    seconds: float  # measured
    size: int  # images times embeddings that it was measured with
    inner: int  # folds of the cross-validation within these images

    def fit(self, images: float, embeddings: int, folds: int) -> float:
        """The seconds for so many training images and embeddings, and one of so many folds: the
        others are those of the inner cross-validation. More values than the processor's cache holds
        take longer each: from 60 to 1,200 images with two embeddings, 2.7 times, and up to 4 times
        where the fit converges more slowly.
        """
        ratio = images * embeddings / self.size
        rows = max(1, folds - 2) / max(1, self.inner - 1)  # that all inner fits see
        return self.seconds * rows * ratio * max(1.0, ratio) ** HEAD_GROWTH


class Rate(NamedTuple):
    """The time that repeated work takes."""

    start: float  # seconds, once: what the first units take in addition
    unit: float  # seconds per unit

    def seconds(self, units: int) -> float:
        """The time of `units`, none of which is work already done."""
        return self.start + self.unit * units

    def scaled(self, factor: float) -> "Rate":
        """The rate of work that takes `factor` times as long."""
        return Rate(self.start * factor, self.unit * factor)


@dataclass(frozen=True)
class Process:
    """The time of a stage's process before and after its work."""

    start: float  # seconds: Python with torch, timm and what else a training imports
    light: float  # seconds: Python with pandas, for stages without torch


@dataclass(frozen=True)
class Training:
    """The time of training a model on one fold."""

    network: float  # seconds: create it, read its pretrained weights
    cache: float  # seconds per image: decode it into the memory cache; 0 for those that don't fit
    probe: float  # seconds per training image, with init_from: probe: features and fit
    batches: tuple[Rate, ...]  # per phase; the same for phases that do the same
    validation: Rate  # images
    checkpoint: float  # seconds per epoch

    def seconds(self, epochs: Sequence[int], batch_size: int, split: "Split") -> float:
        """The time of a whole training with these `epochs` per phase, if none ends early. An
        incomplete last batch is dropped.
        """
        batches = max(1, split.training // batch_size)
        score = self.validation.unit * split.validation + self.checkpoint
        # Settings are verified with a step, a batch of validation images and a checkpoint.
        heaviest = max(rate.unit for rate in self.batches)
        verified = heaviest + self.validation.seconds(batch_size) + self.checkpoint
        total = self.network + self.cache * (split.training + split.validation) + verified
        total += self.probe * split.training
        total += sum(rate.start for rate in {*self.batches})  # once: worker processes, compilers
        for count, rate in zip(epochs, self.batches, strict=True):
            total += count * (rate.unit * batches + score)
        return total

    def scaled(self, factor: float) -> "Training":
        """The time with `factor` times as many pixels."""
        return replace(
            self,
            probe=self.probe * factor,
            batches=tuple(rate.scaled(factor) for rate in self.batches),
            validation=self.validation.scaled(factor),
        )


class Split(NamedTuple):
    """A fold's numbers of images."""

    training: int
    validation: int
    test: int

    @classmethod
    def of(cls, training: int, test: int, *, folds: int) -> "Split":
        """The mean split of `training` labeled images into `folds`."""
        validation = round(training / folds)
        return cls(training - validation, validation, test)
