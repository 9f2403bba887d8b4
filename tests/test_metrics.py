import numpy as np
import pytest

from podium import metrics

TARGETS = np.array([0, 0, 0, 1, 2])
LOGITS = np.log(np.array([
    [0.8, 0.1, 0.1],
    [0.6, 0.3, 0.1],
    [0.2, 0.7, 0.1],
    [0.1, 0.8, 0.1],
    [0.5, 0.2, 0.3],
]))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 3 / 5),
        ("balanced_accuracy", (2 / 3 + 1 + 0) / 3),
        ("macro_f1", (2 * 2 / (2 * 2 + 1 + 1) + 2 / 3 + 0) / 3),
        ("log_loss", -np.log([0.8, 0.6, 0.2, 0.8, 0.3]).mean()),
    ],
)
def test_a_metric_is_what_its_formula_says(name: metrics.MetricName, expected: float) -> None:
    assert metrics.score(name, TARGETS, LOGITS) == pytest.approx(expected)


def test_less_is_better_for_a_loss() -> None:
    assert metrics.rank("log_loss", 0.1) > metrics.rank("log_loss", 0.2)
    assert metrics.rank("macro_f1", 0.1) < metrics.rank("macro_f1", 0.2)


def test_a_fold_without_one_of_the_classes_can_be_scored() -> None:
    for name in metrics.METRICS:
        assert np.isfinite(metrics.score(name, TARGETS[:4], LOGITS[:4]))
