from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import log_softmax

from podium.core.errors import UserError
from podium.core.provenance import Averaging
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import blend
from podium.submission.methods import base, weighted
from podium.submission.methods.base import Examples

TASK = Task("multiclass", ["a", "b", "c"])
LEVELS = Task("ordinal", ["0", "1", "2"])
RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, 3, 300)
TRUTH = 2.0 * np.eye(3)[TARGETS]
GOOD = TRUTH + RNG.normal(0, 1, (300, 3))
BAD = TRUTH + RNG.normal(0, 6, (300, 3))
NOISE = RNG.normal(0, 3, (300, 3))


def examples(
    members: np.ndarray,
    targets: np.ndarray = TARGETS,
    task: Task = TASK,
    metric: str = "log_loss",
    averaging: Averaging = "logits",
) -> Examples:
    folds = np.arange(len(targets)) % 5
    return Examples(task, metrics.get(metric, task.name), members, targets, folds, averaging)


def log_loss(weights: np.ndarray, members: np.ndarray, averaging: Averaging) -> float:
    logits = base.average(members, weights, averaging).astype(np.float64)
    return float(-log_softmax(logits, axis=1)[np.arange(300), TARGETS].mean())


def test_logits_are_averaged_by_their_weights() -> None:
    pair = np.stack([GOOD, BAD])
    assert base.average(pair, np.array([0.5, 0.5]), "logits") == pytest.approx(pair.mean(0))
    quarter = base.average(pair, np.array([0.25, 0.75]), "logits")
    assert quarter == pytest.approx(0.25 * GOOD + 0.75 * BAD)


def test_probabilities_are_averaged_by_their_weights() -> None:
    pair, weights = np.stack([GOOD, BAD]), np.array([0.25, 0.75])
    expected = 0.25 * LEVELS.probabilities(GOOD) + 0.75 * LEVELS.probabilities(BAD)
    logits = base.average(pair, weights, "probabilities")
    assert LEVELS.probabilities(logits) == pytest.approx(expected, abs=1e-6)
    assert base.average(pair, np.array([1.0, 0.0]), "probabilities") == pytest.approx(
        log_softmax(GOOD, axis=1), abs=1e-5
    )


def test_one_member_cannot_veto_a_level() -> None:
    """Cumulative outputs whose order is violated give a level the probability 1e-6."""
    sure = np.log(np.array([[0.05, 0.9, 0.05]]))
    veto = np.log(np.array([[0.6, 1e-6, 0.4 - 1e-6]]))
    blended = base.average(np.stack([sure, sure, veto]), np.full(3, 1 / 3), "probabilities")
    assert LEVELS.probabilities(blended)[0] == pytest.approx([0.7 / 3, 0.6, 0.5 / 3], abs=1e-5)
    over_folds = base.mean_over_folds([sure, sure, veto], "probabilities")
    assert over_folds == pytest.approx(blended)
    logits = base.mean_over_folds([sure, sure, veto], "logits")
    assert logits.argmax() != 1  # the mean of log-probabilities


def test_members_are_averaged_by_probabilities_if_one_requires_it() -> None:
    assert base.common(["logits", "probabilities"]) == "probabilities"
    assert base.common(["logits", "logits"]) == "logits"


@pytest.mark.parametrize(("task", "averaging"), [(TASK, "logits"), (LEVELS, "probabilities")])
def test_fitted_weights_find_the_better_member_and_drop_noise(
    task: Task, averaging: Averaging
) -> None:
    members = np.stack([NOISE, GOOD, BAD])
    weights = weighted.fit_weights(task, members, TARGETS, averaging)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert weights[1] > 0.75 and weights[0] < 0.05


@pytest.mark.parametrize(("task", "averaging"), [(TASK, "logits"), (LEVELS, "probabilities")])
def test_fitted_weights_are_no_worse_than_any_on_a_grid(task: Task, averaging: Averaging) -> None:
    pair = np.stack([GOOD, BAD])
    weights = weighted.fit_weights(task, pair, TARGETS, averaging)
    grid = [np.array([weight, 1 - weight]) for weight in np.linspace(0, 1, 101)]
    best = min(log_loss(weights, pair, averaging) for weights in grid)
    assert log_loss(weights, pair, averaging) <= best + 1e-6


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_weights_of_a_regression_do_not_depend_on_its_unit(unit: float) -> None:
    numbers = RNG.normal(50, 10, (300, 1))
    members = np.stack([numbers + RNG.normal(0, noise, (300, 1)) for noise in (1, 3)])
    task = Task("regression", ["x"])
    weights = weighted.fit_weights(task, unit * members, unit * numbers, "logits")
    assert weights == pytest.approx([0.9, 0.1], abs=0.04)


def test_weights_of_a_regression_are_the_inverse_variances() -> None:
    numbers = RNG.normal(50, 10, (300, 1)).astype(np.float32)
    members = np.stack([numbers + RNG.normal(0, noise, (300, 1)) for noise in (1, 2, 8)])
    weights = weighted.fit_weights(Task("regression", ["x"]), members, numbers, "logits")
    expected = np.array([1, 1 / 4, 1 / 64]) / (1 + 1 / 4 + 1 / 64)
    assert weights == pytest.approx(expected, abs=0.05)


def test_weights_of_multilabel_members_find_the_better_one() -> None:
    labels = (RNG.random((300, 3)) < 0.4).astype(np.float32)
    good, bad = (4 * labels - 2 + RNG.normal(0, noise, (300, 3)) for noise in (1, 6))
    task = Task("multilabel", ["a", "b", "c"])
    assert weighted.fit_weights(task, np.stack([bad, good]), labels, "logits")[1] > 0.8


@pytest.mark.parametrize(
    "weights",
    [[0.5, np.nan], [np.inf, 0.5], [1.5, -0.5], [3.0, 2.0], [1.0], [0.5, 0.25, 0.25], 0.5],
)
def test_a_method_with_unusable_weights_is_an_error(
    monkeypatch: pytest.MonkeyPatch, weights: object
) -> None:
    monkeypatch.setitem(blend.METHODS, "mine", lambda *_: np.array(weights))
    with pytest.raises(UserError, match=r"ensemble\.method: mine"):
        blend.fit("mine", examples(np.stack([GOOD, BAD])))


@pytest.mark.parametrize("method", [lambda _: None, lambda: None])
def test_a_method_with_other_parameters_is_an_error(
    monkeypatch: pytest.MonkeyPatch, method: Callable[..., None]
) -> None:
    monkeypatch.setitem(blend.METHODS, "mine", method)
    with pytest.raises(UserError, match=r"ensemble\.method: mine .*targets and averaging"):
        blend.fit("mine", examples(np.stack([GOOD, BAD])))


def test_a_method_may_change_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    def method(task: Task, logits: np.ndarray, targets: np.ndarray, _: Averaging) -> np.ndarray:
        logits *= 0
        targets *= 0
        return weighted.equal_weights(task, logits, targets, _)

    monkeypatch.setitem(blend.METHODS, "mine", method)
    pair, targets = np.stack([GOOD, BAD]), TARGETS.copy()
    blend.fit("mine", examples(pair, targets))
    assert (pair[0] == GOOD).all() and (targets == TARGETS).all()
