"""Learning-rate schedules: pure functions of the step, and one of the scores so far."""

import math
from collections.abc import Sequence
from typing import Any

from podium.config import phases as schema
from podium.config.phases import Phase

ONE_CYCLE_END = 1e-4  # of the first rate, as in torch's OneCycleLR


def factor(phase: Phase, step: int, *, epoch: int, scores: Sequence[Any]) -> float:
    """What a phase's peak learning rates are multiplied by at its `step`: linear up to 1 over its
    warm-up, then its schedule over the steps that are left.

    `epoch` is the number of steps in one; `scores` holds those of the phase's ended epochs, more
    is better, and matters to `plateau` alone.

    Source: https://arxiv.org/abs/1608.03983 (cosine, restarts), https://arxiv.org/abs/1708.07120
    (one cycle, of the learning rate alone).
    """
    warmup = round(phase.warmup_epochs * epoch)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    step, total = step - warmup, phase.epochs * epoch - warmup
    match phase.schedule:
        case schema.Constant():
            value = 1.0
        case schema.Step(step_size=step_size, gamma=gamma):
            value = gamma ** (step // (step_size * epoch))
        case schema.Cosine():
            value = _cosine(step / total)
        case schema.CosineRestarts(t_0=t_0, t_mult=t_mult):
            length = t_0 * epoch
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
        case schema.Plateau(factor=by, patience=patience):
            value = by ** _drops(scores, patience)
    return value


def _cosine(progress: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _drops(scores: Sequence[Any], patience: int) -> int:
    """How often `patience` epochs in a row brought no better score than the best before them."""
    best, waited, drops = None, 0, 0
    for score in scores:
        better = best is None or score > best
        best, waited = (score, 0) if better else (best, waited + 1)
        if waited == patience:
            drops, waited = drops + 1, 0
    return drops
