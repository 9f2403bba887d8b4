"""The arithmetic of what trainings and pipelines take."""

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


def test_a_batch_may_be_larger_than_the_training_set() -> None:
    few, one = Split(5, 2, 0), Split(8, 2, 0)
    difference = TRAINING.seconds([1, 1], 8, one) - TRAINING.seconds([1, 1], 8, few)
    assert difference == pytest.approx(3 * TRAINING.cache)


def test_a_head_from_a_probe_takes_time_per_training_image() -> None:
    from dataclasses import replace

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
