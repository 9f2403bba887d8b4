import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from trainings import phase

from podium.training.schedules import factor


def factors(
    schedule: Any, *, epochs: int = 10, steps_per_epoch: int = 4, **values: Any
) -> list[float]:
    settings = phase(schedule=schedule, epochs=epochs, **values)
    return [
        factor(settings, step, steps_per_epoch=steps_per_epoch, history=[])
        for step in range(epochs * steps_per_epoch)
    ]


def test_cosine_falls_from_the_peak_after_a_linear_warm_up() -> None:
    rates = factors("cosine", epochs=7, steps_per_epoch=2, warmup_epochs=2)
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == 1
    assert rates[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.5)))
    assert rates[13] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.9)))
    assert all(a > b for a, b in pairwise(rates[4:]))


@pytest.mark.parametrize(
    "schedule", ["constant", "step", "cosine_restarts", "one_cycle", "plateau"]
)
def test_any_schedule_can_warm_up(schedule: str) -> None:
    plain, warm = factors(schedule, epochs=8), factors(schedule, epochs=10, warmup_epochs=2)
    assert warm[:8] == pytest.approx([(step + 1) / 9 for step in range(8)])
    assert warm[8:] == pytest.approx(plain)


def test_constant_does_not_change() -> None:
    assert set(factors("constant")) == {1.0}


def test_step_is_torchs() -> None:
    rates = factors({"name": "step", "step_size": 3, "gamma": 0.5}, epochs=10, steps_per_epoch=4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    for epoch in range(10):
        assert rates[4 * epoch : 4 * epoch + 4] == pytest.approx([reference.get_last_lr()[0]] * 4)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize("t_mult", [1, 2])
def test_cosine_restarts_are_torchs(t_mult: int) -> None:
    rates = factors(
        {"name": "cosine_restarts", "t_0": 2, "t_mult": t_mult}, epochs=12, steps_per_epoch=3
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 6, T_mult=t_mult)
    expected = []
    for _ in range(36):
        expected.append(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    assert rates == pytest.approx(expected)


def test_one_cycle_rises_to_the_peak_and_falls_to_almost_nothing() -> None:
    rates = factors(
        {"name": "one_cycle", "pct_start": 0.25, "div_factor": 10.0}, epochs=10, steps_per_epoch=10
    )
    assert rates[0] == pytest.approx(0.1)
    assert rates[25] == 1 == max(rates)
    assert all(a < b for a, b in pairwise(rates[:26]))
    assert all(a > b for a, b in pairwise(rates[25:]))
    assert rates[-1] < 1e-3
    halfway = 0.1 + 0.9 * 0.5 * (1 - math.cos(math.pi * 12 / 25))
    assert rates[12] == pytest.approx(halfway)


@pytest.mark.parametrize(
    ("scores", "drops"),
    [
        ([], 0),
        ([0.5, 0.6, 0.7], 0),
        ([0.5, 0.5], 0),
        ([0.5, 0.5, 0.4], 1),
        ([0.5, 0.4, 0.4, 0.6, 0.6, 0.6], 2),
        ([0.5, 0.4, 0.4, 0.4, 0.4], 2),
    ],
)
def test_plateau_drops_after_patience_epochs_without_improvement(
    scores: list[float], drops: int
) -> None:
    settings = phase(schedule={"name": "plateau", "patience": 2, "factor": 0.1}, epochs=9)
    assert factor(settings, 5, steps_per_epoch=4, history=scores) == pytest.approx(0.1**drops)
