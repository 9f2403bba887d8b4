"""Rates from the laps of a loop."""

import itertools
import subprocess
import sys
import time

import pytest
import torch

from podium.images.loading import Batch
from podium.planning import stopwatch
from podium.planning.stopwatch import Lap, Stopwatch

LAPS = [Lap(10.0, 0), Lap(13.0, 4), Lap(13.5, 8), Lap(14.5, 12)]


def test_the_first_laps_do_not_count_as_usual() -> None:
    rate = stopwatch.rate(LAPS, skipped=1)
    assert rate.unit == pytest.approx(1.5 / 8)
    assert rate.start == pytest.approx(3 - 4 * 1.5 / 8)
    assert rate.seconds(12) == pytest.approx(4.5)  # the whole loop again


def test_few_laps() -> None:
    assert stopwatch.rate(LAPS, skipped=32) == stopwatch.rate(LAPS, skipped=1)
    assert stopwatch.rate(LAPS[:2], skipped=1) == (0.0, 0.75)


def test_a_slow_start_never_saves_time() -> None:
    laps = [Lap(0.0, 0), Lap(1.0, 10), Lap(5.0, 20)]
    assert stopwatch.rate(laps, skipped=1) == (0.0, 0.4)


def test_it_stops_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(stopwatch, "now", lambda: float(next(ticks)))
    monkeypatch.setattr(stopwatch, "SECONDS", 3)
    watch = Stopwatch(torch.device("cpu"))
    batches = (Batch({"image": torch.zeros(4)}, torch.zeros(4)) for _ in range(50))
    assert len(list(stopwatch.timed(batches, watch))) == 4  # the first, and three seconds
    assert watch.rate() == (0.0, 0.25)


def test_it_ends_with_the_batches() -> None:
    watch = Stopwatch(torch.device("cpu"))
    assert (
        len(list(stopwatch.timed([Batch({"image": torch.zeros(4)}, torch.zeros(4))] * 2, watch)))
        == 2
    )
    assert watch.rate().unit < 1


def test_cpu_time_passes_with_work_only() -> None:
    with stopwatch.cpu_time():
        start = stopwatch.now()
        time.sleep(0.3)
        assert stopwatch.now() - start < 0.2
        subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
        assert stopwatch.now() - start > 0.05
        assert stopwatch.in_parallel(8.0, 2) == 8.0
    assert stopwatch.in_parallel(8.0, 2) == 4.0
    start = stopwatch.now()
    time.sleep(0.3)
    assert stopwatch.now() - start >= 0.3


def test_a_process_takes_time_to_start() -> None:
    assert 0.01 < stopwatch._imports("podium.core.errors") < 60
