"""Epochs of a training run: their scores, the best, and those that are averaged."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from podium.config.models import Model
from podium.scoring.metrics import Metric

Rank = tuple[float, float]  # by the metric, then by validation loss


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch: a row of the curves."""

    epoch: int  # from 1, across all phases
    phase: int  # from 1, gradual unfreezing expanded
    train_loss: float
    valid_loss: (
        float | None
    )  # cross-entropy without smoothing or class weights; or standardized MSE
    score: float | None  # the competition's metric on the held-out fold; None without one
    accuracy: float | None  # this and the next three: None for regression
    precision: float | None  # macro average, like recall and f1
    recall: float | None
    f1: float | None
    lr: float  # the head's, at the epoch's last step
    backbone_lr: float | None  # the lowest of the backbone; None while it is frozen
    micro_batches: int  # per batch
    images_per_s: float  # while training
    seconds: float
    feature_seconds: float = 0.0  # of `seconds`: computing the features that the head trains on

    def rank(self, metric: Metric) -> Rank | None:
        """Its place among epochs, or None without scores."""
        if self.score is None or self.valid_loss is None:
            return None
        return metric.rank(self.score), -self.valid_loss


@dataclass(frozen=True)
class Best:
    """An epoch, the best so far, and the weights after it; or the average of several epochs."""

    epoch: Epoch  # of an average: the last one's, with the scores of the average
    rank: Rank | None  # greater is better; None without a held-out fold
    weights: dict[str, Tensor]  # on the CPU; the EMA weights, if there are any
    averaged: list[int] = field(default_factory=list)  # epochs

    def state_dict(self) -> dict[str, Any]:
        """As tensors, numbers and text."""
        return {**vars(self), "epoch": dataclasses.asdict(self.epoch)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        """What `state_dict` describes."""
        return cls(**{**state, "epoch": Epoch(**state["epoch"])})


def to_average(epochs: list[Best], config: Model) -> list[Best]:
    """Those of `epochs` that `config.average_checkpoints` selects so far, in their order."""
    options = config.average_checkpoints
    assert options is not None
    if options.last is not None:
        return epochs[-options.last :]
    best = sorted(epochs, key=lambda epoch: epoch.rank or ())[-options.count :]
    return sorted(best, key=lambda epoch: epoch.epoch.epoch)


def per_phase(curves: Sequence[Epoch], last: int) -> list[int]:
    """How many epochs each phase has, up to the epoch `last` (counted from 1)."""
    phases = [row.phase for row in curves[:last]]
    return [phases.count(phase) for phase in range(1, phases[-1] + 1)]


def suggested(folds: Sequence[Sequence[int]]) -> list[int]:
    """The median number of epochs of each phase over the folds, rounded (halves up); a fold that
    did not come to a phase counts as 0. Phases without epochs are left out.
    """
    count = max(map(len, folds))
    padded = [[*epochs, *[0] * (count - len(epochs))] for epochs in folds]
    medians = [math.floor(statistics.median(column) + 0.5) for column in zip(*padded, strict=True)]
    return [epochs for epochs in medians if epochs]
