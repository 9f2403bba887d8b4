import numpy as np
import pytest
from scipy.special import log_softmax

from podium.scoring.task import Task
from podium.submission import blend

PROBLEM = Task("multiclass", ["a", "b", "c"])
RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, 3, 300)
TRUTH = 2.0 * np.eye(3)[TARGETS]
GOOD = TRUTH + RNG.normal(0, 1, (300, 3))
BAD = TRUTH + RNG.normal(0, 6, (300, 3))
NOISE = RNG.normal(0, 3, (300, 3))


def log_loss(logits: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(300), TARGETS].mean())


def test_the_mean_is_the_mean_of_logits() -> None:
    both = np.stack([GOOD, BAD])
    assert blend.blend(both, blend.equal_weights(2)) == pytest.approx(both.mean(0), abs=1e-5)


def test_fitted_weights_find_the_better_member_and_drop_noise() -> None:
    weights = blend.fit_weights(PROBLEM, np.stack([NOISE, GOOD, BAD]), TARGETS)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert weights[1] > 0.8 and weights[0] < 0.05


def test_fitted_weights_are_no_worse_than_any_on_a_grid() -> None:
    both = np.stack([GOOD, BAD]).astype(np.float64)
    weights = blend.fit_weights(PROBLEM, both, TARGETS)
    fitted = log_loss(np.einsum("m,mnc->nc", weights, both))
    grid = [log_loss(w * both[0] + (1 - w) * both[1]) for w in np.linspace(0, 1, 101)]
    assert fitted <= min(grid) + 1e-6


def test_a_fold_is_blended_with_weights_that_its_labels_had_no_part_in() -> None:
    both, folds = np.stack([GOOD, BAD]), np.arange(300) % 3

    def blended(targets: np.ndarray) -> np.ndarray:
        weights = blend.weights_by_fold(PROBLEM, both, targets, folds)
        return blend.blend_by_fold(both, weights, folds)

    found, again = blended(TARGETS), blended(np.where(folds == 0, (TARGETS + 1) % 3, TARGETS))
    assert np.array_equal(again[folds == 0], found[folds == 0])
    assert not np.array_equal(again[folds == 1], found[folds == 1])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_weights_of_numbers_do_not_depend_on_their_unit(unit: float) -> None:
    numbers = RNG.normal(50, 10, (300, 1))
    members = np.stack([numbers + RNG.normal(0, noise, (300, 1)) for noise in (1, 3)])
    found = blend.fit_weights(Task("regression", ["x"]), unit * members, unit * numbers)
    assert found == pytest.approx([0.9, 0.1], abs=0.04)


def test_weights_of_several_labels_and_of_numbers_find_the_better_member() -> None:
    hot = (RNG.random((300, 3)) < 0.4).astype(np.float32)
    good, bad = (4 * hot - 2 + RNG.normal(0, noise, (300, 3)) for noise in (1, 6))
    many = Task("multilabel", ["a", "b", "c"])
    assert blend.fit_weights(many, np.stack([bad, good]), hot)[1] > 0.8
    numbers = RNG.normal(50, 10, (300, 1)).astype(np.float32)
    members = np.stack([numbers + RNG.normal(0, noise, (300, 1)) for noise in (1, 2, 8)])
    weights = blend.fit_weights(Task("regression", ["x"]), members, numbers)
    expected = np.array([1, 1 / 4, 1 / 64]) / (1 + 1 / 4 + 1 / 64)  # by the inverse variances
    assert weights == pytest.approx(expected, abs=0.05)
