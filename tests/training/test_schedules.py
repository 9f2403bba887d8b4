import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from trainings import phase

from podium.training.schedules import factor


def factors(schedule: Any, *, epochs: int = 10, epoch: int = 4, **values: Any) -> list[float]:
    made = phase(schedule=schedule, epochs=epochs, **values)
    return [factor(made, step, steps_per_epoch=epoch, history=[]) for step in range(epochs * epoch)]


def test_warm_up_is_linear_and_then_the_rate_falls_along_half_a_cosine() -> None:
    found = factors("cosine", epochs=7, epoch=2, warmup_epochs=2)
    assert found[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert found[4] == 1
    assert found[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.5)))
    assert found[13] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.9)))
    assert all(a > b for a, b in pairwise(found[4:]))


@pytest.mark.parametrize(
    "schedule", ["constant", "step", "cosine_restarts", "one_cycle", "plateau"]
)
def test_any_schedule_can_warm_up(schedule: str) -> None:
    plain, warm = factors(schedule, epochs=8), factors(schedule, epochs=10, warmup_epochs=2)
    assert warm[:8] == pytest.approx([(step + 1) / 9 for step in range(8)])
    assert warm[8:] == pytest.approx(plain)


def test_constant_stays() -> None:
    assert set(factors("constant")) == {1.0}


def test_step_is_what_torch_does() -> None:
    found = factors({"name": "step", "step_size": 3, "gamma": 0.5}, epochs=10, epoch=4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    for epoch in range(10):
        assert found[4 * epoch : 4 * epoch + 4] == pytest.approx([reference.get_last_lr()[0]] * 4)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize("longer", [1, 2])
def test_restarts_are_what_torch_does(longer: int) -> None:
    found = factors({"name": "cosine_restarts", "t_0": 2, "t_mult": longer}, epochs=12, epoch=3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 6, T_mult=longer)
    expected = []
    for _ in range(36):
        expected.append(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    assert found == pytest.approx(expected)


def test_one_cycle_rises_to_the_peak_and_falls_to_almost_nothing() -> None:
    found = factors(
        {"name": "one_cycle", "pct_start": 0.25, "div_factor": 10.0}, epochs=10, epoch=10
    )
    assert found[0] == pytest.approx(0.1)
    assert found[25] == 1 == max(found)
    assert all(a < b for a, b in pairwise(found[:26]))
    assert all(a > b for a, b in pairwise(found[25:]))
    assert found[-1] < 1e-3
    halfway = 0.1 + 0.9 * 0.5 * (1 - math.cos(math.pi * 12 / 25))
    assert found[12] == pytest.approx(halfway)


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
def test_plateau_drops_when_the_score_waits(scores: list[float], drops: int) -> None:
    made = phase(schedule={"name": "plateau", "patience": 2, "factor": 0.1}, epochs=9)
    assert factor(made, 5, steps_per_epoch=4, history=scores) == pytest.approx(0.1**drops)
