from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, fbeta_score

from podium.scoring import decisions, metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import thresholds

RNG = np.random.default_rng(0)
BINARY = Task("binary", ["no", "yes"])
LABELS = Task("multilabel", ["a", "b", "c"])
LEVELS = Task("ordinal", ["0", "1", "2", "3"])
NUMBER = Task("regression", ["age"])


def logits_of(second: np.ndarray) -> np.ndarray:
    """Logits of two classes with the probability `second` of the second one."""
    return np.log(np.stack([1 - second, second], axis=1))


def levels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels, mostly 0, and logits of a model that underestimates them."""
    targets = RNG.choice(4, size=count, p=[0.6, 0.2, 0.15, 0.05])
    seen = targets * 0.5 + RNG.normal(0, 0.5, count)
    return targets, -((seen[:, None] - 0.5 * np.arange(4)) ** 2)


def test_a_tuned_threshold_is_the_best_for_a_rare_class() -> None:
    targets = (RNG.random(600) < 0.1).astype(np.int64)
    second = np.clip(0.05 + 0.2 * targets + RNG.normal(0, 0.06, 600), 0.001, 0.999)
    metric = metrics.get("macro_f1", "binary")
    logits = logits_of(second)
    rule = thresholds.fit(BINARY, metric, targets, logits)
    fitted = decisions.score(BINARY, metric, targets, logits, rule=rule)
    grid = [f1_score(targets, second > value, average="macro") for value in np.linspace(0, 1, 101)]
    assert fitted >= max(grid) - 1e-9
    assert fitted > 0.2 + decisions.score(BINARY, metric, targets, logits)


def test_each_label_has_its_own_threshold() -> None:
    targets = (RNG.random((400, 3)) < [0.5, 0.2, 0.05]).astype(np.float32)
    level = np.array([0.5, 0.3, 0.1])
    shares = np.clip(
        level + 0.15 * (2 * targets - 1) * level + RNG.normal(0, 0.02, (400, 3)), 0.01, 0.99
    )
    metric, logits = metrics.get("macro_f1", "multilabel"), np.log(shares / (1 - shares))
    rule = thresholds.fit(LABELS, metric, targets, logits)
    assert rule.thresholds is not None
    assert sorted(rule.thresholds, reverse=True) == rule.thresholds
    for actual, predicted, threshold in zip(targets.T, shares.T, rule.thresholds, strict=True):
        grid = [f1_score(actual, predicted > value) for value in np.linspace(0, 1, 101)]
        assert f1_score(actual, predicted > threshold) >= max(grid) - 0.02


def test_micro_f1_has_one_threshold_for_all_labels() -> None:
    targets = (RNG.random((300, 3)) < 0.3).astype(np.float32)
    shares = np.clip(0.2 + 0.15 * targets + RNG.normal(0, 0.05, (300, 3)), 0.01, 0.99)
    logits = np.log(shares / (1 - shares))
    metric = metrics.get("micro_f1", "multilabel")
    rule = thresholds.fit(LABELS, metric, targets, logits)
    assert rule.thresholds is not None and len(set(rule.thresholds)) == 1
    default = decisions.score(LABELS, metric, targets, logits)
    assert decisions.score(LABELS, metric, targets, logits, rule=rule) > default + 0.2


def test_thresholds_between_levels_raise_kappa_and_stay_in_order() -> None:
    targets, logits = levels(500)
    metric = metrics.get("quadratic_weighted_kappa", "ordinal")
    rule = thresholds.fit(LEVELS, metric, targets, logits)
    assert rule.thresholds is not None and rule.thresholds == sorted(rule.thresholds)
    fitted = decisions.score(LEVELS, metric, targets, logits, rule=rule)
    assert fitted > decisions.score(LEVELS, metric, targets, logits)
    found = decisions.labels(LEVELS, LEVELS.probabilities(logits), rule)
    assert fitted == pytest.approx(cohen_kappa_score(targets, found, weights="quadratic"))


def test_numbers_are_rounded_to_labels_from_the_lowest_to_the_highest() -> None:
    targets = RNG.integers(3, 7, (300, 1)).astype(np.float32)
    logits = (0.5 * targets + RNG.normal(0, 0.1, (300, 1))).astype(np.float32)
    metric = metrics.get("quadratic_weighted_kappa", "regression")
    rule = thresholds.fit(NUMBER, metric, targets, logits)
    assert rule.thresholds is not None and (len(rule.thresholds), rule.offset) == (3, 3)
    found = decisions.labels(NUMBER, np.array([[-9.0], [99.0]]), rule)
    assert found.tolist() == [[3], [6]]
    assert decisions.score(NUMBER, metric, targets, logits, rule=rule) > 0.9


def test_equal_predictions_keep_the_default_threshold() -> None:
    targets, metric = np.array([0, 1, 0, 1]), metrics.get("macro_f1", "binary")
    rule = thresholds.fit(BINARY, metric, targets, logits_of(np.full(4, 0.3)))
    assert rule.thresholds == [0.5]


def test_the_f1_threshold_is_the_best_of_all_possible_ones() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        targets = (rng.random(40) < 0.3).astype(float)
        predicted = (rng.random(40) + 0.3 * targets).round(1).clip(0, 1)  # with many ties
        threshold = thresholds._best_f1_threshold(targets, predicted)
        candidates = np.append(np.unique(predicted) - 1e-6, 2)
        best = max(f1_score(targets, predicted > value, zero_division=0) for value in candidates)
        tuned = f1_score(targets, predicted > threshold, zero_division=0)
        assert tuned == pytest.approx(best), seed


@pytest.mark.parametrize("name", ["accuracy", "samples_f1"])
@pytest.mark.parametrize("min_labels", [0, 1])
@pytest.mark.parametrize(("images", "labels"), [(9, 2), (300, 5), (5000, 3)])
def test_the_threshold_of_a_mean_over_images_is_the_best_of_the_grid(
    name: str, min_labels: int, images: int, labels: int
) -> None:
    rng = np.random.default_rng(images)
    targets = (rng.random((images, labels)) < 0.2).astype(np.float32)
    if min_labels:
        targets[np.arange(images), rng.integers(labels, size=images)] = 1
    predicted = (0.3 * targets + 0.6 * rng.random((images, labels))).round(2)  # many on the grid
    metric, task = metrics.get(name, "multilabel"), LABELS._replace(classes=[*"abcde"[:labels]])
    assert decisions.min_labels(targets) == min_labels
    scores = np.array(
        [
            decisions.score_labels(task, metric, targets, decisions.labels(task, predicted, rule))
            for rule in (DecisionRule([value], 0, min_labels) for value in thresholds.GRID)
        ]
    )
    best = thresholds.GRID[scores >= scores.max() - 1e-12]
    nearest = best[abs(best - 0.5).argmin()]
    assert (thresholds._per_image(metric, targets, predicted) == nearest).all()
    assert scores.max() > scores.min()


def f2_score(targets: np.ndarray, labels: np.ndarray) -> float:
    """A user-defined metric: no `sample_weight`."""
    average = "macro" if targets.ndim == 2 else "binary"
    return float(fbeta_score(targets, labels, beta=2, average=average, zero_division=0))


def user_defined(function: Callable[[np.ndarray, np.ndarray], float], task: Task) -> Metric:
    return Metric("custom/mine.py:score", function, "labels", (task.name,), tune_for=(task.name,))


def test_a_user_defined_metric_tunes_the_threshold_of_a_binary_task() -> None:
    targets = (RNG.random(400) < 0.1).astype(np.int64)
    second = np.clip(0.05 + 0.2 * targets + RNG.normal(0, 0.06, 400), 0.001, 0.999)
    metric = user_defined(f2_score, BINARY)
    rule = thresholds.fit(BINARY, metric, targets, logits_of(second))
    assert rule.thresholds is not None
    best = max(f2_score(targets, second > value) for value in np.linspace(0, 1, 101))
    assert f2_score(targets, second > rule.thresholds[0]) >= best - 0.02
    assert best > f2_score(targets, second > 0.5) + 0.3


@pytest.mark.parametrize("classes", [3, thresholds.MAX_LABELS + 1])
def test_a_user_defined_metric_tunes_the_thresholds_of_several_labels(classes: int) -> None:
    task = Task("multilabel", [str(index) for index in range(classes)])
    targets = (RNG.random((100, classes)) < 0.2).astype(np.float32)
    scale = np.linspace(0.2, 0.9, classes)  # a model that is less sure of some classes
    noise = RNG.normal(0, 0.1, targets.shape)
    shares = np.clip(scale * (0.3 + 0.5 * targets + noise), 0.01, 0.99)
    metric, logits = user_defined(f2_score, task), np.log(shares / (1 - shares))
    rule = thresholds.fit(task, metric, targets, logits)
    assert rule.thresholds is not None
    per_class = len(set(rule.thresholds)) > 1
    assert per_class == (classes <= thresholds.MAX_LABELS)
    tuned = f2_score(targets, shares > np.array(rule.thresholds))
    common = max(f2_score(targets, shares > value) for value in thresholds.GRID)
    assert tuned > common if per_class else tuned == common
    assert common > f2_score(targets, shares > 0.5)


@pytest.mark.parametrize("task", [LEVELS, NUMBER])
def test_a_user_defined_metric_tunes_the_thresholds_between_levels(task: Task) -> None:
    targets, logits = levels(300)
    if task is NUMBER:
        logits = (LEVELS.probabilities(logits) @ np.arange(4))[:, None]
        targets = targets[:, None].astype(np.float32)

    def error(actual: np.ndarray, labels: np.ndarray) -> float:
        return float((abs(actual - labels) > 1).mean() + abs(actual - labels).mean())

    metric = user_defined(error, task)._replace(greater_is_better=False)
    rule = thresholds.fit(task, metric, targets, logits)
    tuned = decisions.score(task, metric, targets, logits, rule=rule)
    assert tuned < decisions.score(task, metric, targets, logits) - 0.02


def test_a_user_defined_f1_is_tuned_about_as_well_as_scikit_learns() -> None:
    targets = (RNG.random((200, 3)) < [0.5, 0.2, 0.1]).astype(np.float32)
    shares = np.clip(0.2 + 0.2 * targets + RNG.normal(0, 0.1, targets.shape), 0.01, 0.99)
    logits, known = np.log(shares / (1 - shares)), metrics.get("macro_f1", "multilabel")
    scores = [
        decisions.score(
            LABELS, known, targets, logits, rule=thresholds.fit(LABELS, metric, targets, logits)
        )
        for metric in (known, user_defined(known.function, LABELS))
    ]
    assert scores[0] - 0.02 < scores[1] <= scores[0]
