"""Learning-rate schedules: pure functions of the step."""

import math


def warmup_cosine(step: int, *, total: int, warmup: int) -> float:
    """The factor on the peak learning rate at `step` of `total`: linear up to 1 over the first
    `warmup` steps, then half a cosine down to 0 after the last one.

    Source: https://arxiv.org/abs/1608.03983 (without restarts).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
