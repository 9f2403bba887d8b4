"""The arithmetic of what trainings and pipelines take."""

from dataclasses import replace

import pytest

from podium.planning import overview
from podium.planning.cost import Rate, Split, Training
from podium.planning.overview import Row

TRAINING = Training(
    network=3.0,
    cache=0.01,
    probe=0.0,
    batches=(Rate(1.0, 0.2), Rate(2.0, 0.5)),
    validation=Rate(0.7, 0.05),
    checkpoint=0.3,
)


def test_the_time_of_a_training() -> None:
    split = Split(training=35, validation=20, test=9)
    verified = 0.5 + (0.7 + 0.05 * 8) + 0.3  # the slower step, a batch, a checkpoint
    epoch = 0.05 * 20 + 0.3
    first = 1.0 + 2 * (4 * 0.2 + epoch)  # four full batches of 8
    second = 2.0 + 3 * (4 * 0.5 + epoch)
    expected = 3.0 + 0.01 * 55 + verified + first + second
    assert TRAINING.seconds([2, 3], 8, split) == pytest.approx(expected)


def test_phases_that_do_the_same_compile_once() -> None:
    split, compiled = Split(training=35, validation=20, test=9), Rate(40.0, 0.5)
    one = replace(TRAINING, batches=(compiled,)).seconds([5], 8, split)
    assert replace(TRAINING, batches=(compiled,) * 2).seconds([2, 3], 8, split) == one
    assert one > 40


def test_a_batch_may_be_larger_than_the_training_set() -> None:
    few, one = Split(5, 2, 0), Split(8, 2, 0)
    difference = TRAINING.seconds([1, 1], 8, one) - TRAINING.seconds([1, 1], 8, few)
    assert difference == pytest.approx(3 * TRAINING.cache)


def test_a_head_from_a_probe_takes_time_per_training_image() -> None:
    split = Split(100, 50, 0)
    with_probe = replace(TRAINING, probe=0.02)
    difference = with_probe.seconds([1, 1], 8, split) - TRAINING.seconds([1, 1], 8, split)
    assert difference == pytest.approx(2.0)


def test_larger_images_take_longer_in_proportion_but_not_to_read() -> None:
    larger = TRAINING.scaled(4.0)
    assert larger.batches == (Rate(4.0, 0.8), Rate(8.0, 2.0))
    assert larger.validation == Rate(2.8, 0.2)
    assert (larger.network, larger.cache, larger.checkpoint) == (3.0, 0.01, 0.3)


def test_the_mean_split() -> None:
    assert Split.of(244, 153, folds=5) == (195, 49, 153)
    assert Split.of(10, 0, folds=3) == (7, 3, 0)


def test_the_table_adds_up() -> None:
    rows = [
        Row("a", 60.0, 30.0, 5, 3 * 2**29),
        Row("b (embedding)", 100.0, memory=2**30),
        Row("other stages", 8.0),
    ]
    assert [row.total for row in rows] == [450.0, 100.0, 8.0]
    assert overview.total(rows) == 558.0
    lines = [line.split() for line in overview.table(rows).splitlines()[1:]]
    assert lines == [
        ["a", "60", "s", "30", "s", "5", "8", "min", "1.5", "GiB"],
        ["b", "(embedding)", "2", "min", "1.0", "GiB"],
        ["other", "stages", "8", "s"],
        ["total", "9", "min"],
    ]


def test_trainings_that_fit_into_a_gpu_together() -> None:
    rows = [Row("a", 60.0, 30.0, 5, 3 * 2**29), Row("b (embedding)", 100.0, memory=2**40)]
    assert overview.jobs(rows, 80 * 2**30) == 5  # all folds
    assert overview.jobs(rows, 9 * 2**30) == 4  # of 2 GiB each
    assert overview.jobs(rows, 2 * 2**30) == 0
    assert overview.jobs(rows[1:], 80 * 2**30) == 0


def test_trainings_that_a_gpu_has_time_for() -> None:
    idle, other, busy = (
        Row(name, 60.0, 30.0, 5, 3 * 2**29, gpu_use=use)
        for name, use in (("idle", 0.31), ("other", None), ("busy", 0.8))
    )
    assert overview.jobs([idle, other], 80 * 2**30) == 3
    assert overview.jobs([idle, other], 5 * 2**30) == 2  # of 2 GiB each
    assert overview.jobs([idle, busy], 80 * 2**30) == 1
    text = (
        "3 trainings fit into the GPU at once. A training leaves the GPU idle 69% of the time, so "
    )
    assert (
        overview.advice([idle, other], 80 * 2**30) == f"{text}`make train JOBS=3` takes less time."
    )
    assert "10 trainings" in overview.advice([other, other], 80 * 2**30)
    assert overview.advice([busy], 80 * 2**30) == overview.advice([idle], 2**30) == ""
