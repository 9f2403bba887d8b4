"""Measure the time of a loop for a few seconds."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import torch

from podium.core import machine
from podium.images import workers
from podium.images.loading import Batch
from podium.planning.cost import Process, Rate

SECONDS = 2.0  # of each loop, after its first laps
SOURCE = Path(__file__).parents[2]  # the folder of the package `podium`

_clock = ContextVar[Callable[[], float]]("_clock", default=time.perf_counter)


def now() -> float:
    """The time in seconds, from any point."""
    return _clock.get()()


@contextmanager
def cpu_time() -> Iterator[None]:
    """Measure the CPU time of this process and those that it starts, which other programs do not
    change, instead of the time that passes.
    """
    token = _clock.set(lambda: sum(os.times()[:4]))
    try:
        yield
    finally:
        _clock.reset(token)


def in_parallel(seconds: float, processes: int) -> float:
    """The time of work that several processes share."""
    return seconds / processes if _clock.get() is time.perf_counter else seconds


class Lap(NamedTuple):
    """How far the loop has come."""

    seconds: float
    units: int


class Stopwatch:
    """Notes when the device has finished each part of a loop."""

    def __init__(self, device: torch.device) -> None:
        """Start. The first laps don't count: a device warms up, and loader workers have some
        batches ready.
        """
        ahead = machine.loader_workers(device.type) * workers.PREFETCH_BATCHES
        self._device, self._skipped = device, max(1, ahead)
        self._laps = [self._now(0)]

    def _now(self, units: int) -> Lap:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return Lap(now(), units)

    def lap(self, units: int) -> None:
        """Note that `units` more are done."""
        self._laps.append(self._now(self._laps[-1].units + units))

    @property
    def is_enough(self) -> bool:
        """Whether the laps so far tell the time of others."""
        counted = self._laps[self._skipped :]
        return len(counted) > 1 and counted[-1].seconds - counted[0].seconds >= SECONDS

    def rate(self) -> Rate:
        """The time per unit, and what the first laps took in addition."""
        return rate(self._laps, skipped=self._skipped)


def rate(laps: list[Lap], *, skipped: int) -> Rate:
    """The time per unit after the first `skipped` laps, and what these took in addition. If there
    are not so many, only the first is skipped. `laps` begins with the start.
    """
    if len(laps) < skipped + 2:
        skipped = min(1, len(laps) - 2)
    first, begin, last = laps[0], laps[skipped], laps[-1]
    unit = (last.seconds - begin.seconds) / max(1, last.units - begin.units)
    start = begin.seconds - first.seconds - unit * (begin.units - first.units)
    return Rate(max(0.0, start), unit)


def timed(batches: Iterable[Batch], watch: Stopwatch) -> Iterator[Batch]:
    """Yield batches until that is enough; a lap ends when the next batch is asked for."""
    for batch in batches:
        yield batch
        watch.lap(len(batch.inputs["image"]))
        if watch.is_enough:
            return


def process() -> Process:
    """How long processes take to start and to import what stages do."""
    return Process(
        start=_imports("podium.training.fold, podium.features.fitting"),
        light=_imports("pandas, podium.scoring.metrics"),
    )


def _imports(modules: str) -> float:
    start = now()
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import {modules}"
    subprocess.run([sys.executable, "-c", program], check=True)
    return now() - start
