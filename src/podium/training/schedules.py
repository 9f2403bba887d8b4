"""Learning-rate schedules: pure functions of the step, and for `plateau` of the scores so far."""

import math
from collections.abc import Sequence
from typing import Any

from podium.config import phases as schema
from podium.config.phases import Phase

ONE_CYCLE_END = 1e-4  # relative to the first rate, as in torch's OneCycleLR


def factor(phase: Phase, step: int, *, steps_per_epoch: int, history: Sequence[Any]) -> float:
    """The multiplier of a phase's peak learning rates at its `step`, from 0: linear warm-up to 1,
    then the phase's schedule over the remaining steps.

    `history` is the score of each finished epoch of the phase, greater is better; only `plateau`
    reads it.

    Source: https://arxiv.org/abs/1608.03983 (cosine, restarts), https://arxiv.org/abs/1708.07120
    (one cycle, without its momentum schedule).
    """
    warmup = round(phase.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    step, total = step - warmup, phase.epochs * steps_per_epoch - warmup
    match phase.schedule:
        case schema.Constant():
            value = 1.0
        case schema.Step(step_size=step_size, gamma=gamma):
            value = gamma ** (step // (step_size * steps_per_epoch))
        case schema.Cosine():
            value = _cosine(step / total)
        case schema.CosineRestarts(t_0=t_0, t_mult=t_mult):
            length = t_0 * steps_per_epoch
            while step >= length:
                step, length = step - length, round(length * t_mult)
            value = _cosine(step / length)
        case schema.OneCycle(pct_start=pct_start, div_factor=div_factor):
            low, top = 1 / div_factor, pct_start * total
            if step < top:
                value = low + (1 - low) * (1 - _cosine(step / top))
            else:
                end = low * ONE_CYCLE_END
                value = end + (1 - end) * _cosine((step - top) / (total - top))
        case schema.Plateau(factor=decay, patience=patience):
            value = decay ** _plateaus(history, patience)
    return value


def _cosine(progress: float) -> float:
    """Half a cosine, from 1 at progress 0 to 0 at progress 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _plateaus(history: Sequence[Any], patience: int) -> int:
    """How often `patience` consecutive epochs did not improve on the best score before them."""
    best, epochs_since_best, plateaus = None, 0, 0
    for score in history:
        if best is None or score > best:
            best, epochs_since_best = score, 0
        else:
            epochs_since_best += 1
        if epochs_since_best == patience:
            plateaus, epochs_since_best = plateaus + 1, 0
    return plateaus
