import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from podium.scoring import decisions, metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import thresholds

RNG = np.random.default_rng(0)
BINARY = Task("binary", ["no", "yes"])
LABELS = Task("multilabel", ["a", "b", "c"])
GRADES = Task("ordinal", ["0", "1", "2", "3"])
NUMBER = Task("regression", ["age"])


def logits_of(second: np.ndarray) -> np.ndarray:
    """Logits of two classes with the probability `second` of the second one."""
    return np.log(np.stack([1 - second, second], axis=1))


def grades(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Grades, mostly 0, and logits of a model that sees little of them."""
    targets = RNG.choice(4, size=count, p=[0.6, 0.2, 0.15, 0.05])
    seen = targets * 0.5 + RNG.normal(0, 0.5, count)
    return targets, -((seen[:, None] - 0.5 * np.arange(4)) ** 2)


def test_a_fitted_cut_is_the_best_for_a_rare_class() -> None:
    targets = (RNG.random(600) < 0.1).astype(np.int64)
    second = np.clip(0.05 + 0.2 * targets + RNG.normal(0, 0.06, 600), 0.001, 0.999)
    metric = metrics.get("macro_f1", "binary")
    logits = logits_of(second)
    decision = thresholds.fit(BINARY, metric, targets, logits)
    fitted = decisions.score(BINARY, metric, targets, logits, rule=decision)
    grid = [f1_score(targets, second > cut, average="macro") for cut in np.linspace(0, 1, 101)]
    assert fitted >= max(grid) - 1e-9
    assert fitted > 0.2 + decisions.score(BINARY, metric, targets, logits)


def test_each_of_several_labels_has_its_own_cut() -> None:
    targets = (RNG.random((400, 3)) < [0.5, 0.2, 0.05]).astype(np.float32)
    level = np.array([0.5, 0.3, 0.1])
    shares = np.clip(
        level + 0.15 * (2 * targets - 1) * level + RNG.normal(0, 0.02, (400, 3)), 0.01, 0.99
    )
    metric, logits = metrics.get("macro_f1", "multilabel"), np.log(shares / (1 - shares))
    decision = thresholds.fit(LABELS, metric, targets, logits)
    assert decision.thresholds is not None
    assert sorted(decision.thresholds, reverse=True) == decision.thresholds
    for column, cut in enumerate(decision.thresholds):
        found = f1_score(targets[:, column], shares[:, column] > cut)
        grid = [f1_score(targets[:, column], shares[:, column] > c) for c in np.linspace(0, 1, 101)]
        assert found >= max(grid) - 0.02


def test_micro_f1_has_one_cut_for_all_labels() -> None:
    targets = (RNG.random((300, 3)) < 0.3).astype(np.float32)
    shares = np.clip(0.2 + 0.15 * targets + RNG.normal(0, 0.05, (300, 3)), 0.01, 0.99)
    logits = np.log(shares / (1 - shares))
    metric = metrics.get("micro_f1", "multilabel")
    decision = thresholds.fit(LABELS, metric, targets, logits)
    assert decision.thresholds is not None and len(set(decision.thresholds)) == 1
    plain = decisions.score(LABELS, metric, targets, logits)
    assert decisions.score(LABELS, metric, targets, logits, rule=decision) > plain + 0.2


def test_cuts_between_grades_raise_kappa_and_stay_in_order() -> None:
    targets, logits = grades(500)
    metric = metrics.get("quadratic_weighted_kappa", "ordinal")
    decision = thresholds.fit(GRADES, metric, targets, logits)
    assert decision.thresholds is not None and decision.thresholds == sorted(decision.thresholds)
    fitted = decisions.score(GRADES, metric, targets, logits, rule=decision)
    assert fitted > decisions.score(GRADES, metric, targets, logits)
    found = decisions.labels(GRADES, GRADES.probabilities(logits), decision)
    assert fitted == pytest.approx(cohen_kappa_score(targets, found, weights="quadratic"))


def test_numbers_are_rounded_at_cuts_from_the_lowest_to_the_highest_label() -> None:
    targets = RNG.integers(3, 7, (300, 1)).astype(np.float32)
    logits = (0.5 * targets + RNG.normal(0, 0.1, (300, 1))).astype(np.float32)
    metric = metrics.get("quadratic_weighted_kappa", "regression")
    decision = thresholds.fit(NUMBER, metric, targets, logits)
    assert decision.thresholds is not None and (len(decision.thresholds), decision.offset) == (3, 3)
    found = decisions.labels(NUMBER, np.array([[-9.0], [99.0]]), decision)
    assert found.tolist() == [[3], [6]]
    assert decisions.score(NUMBER, metric, targets, logits, rule=decision) > 0.9


def test_what_cannot_be_told_apart_keeps_the_plain_cut() -> None:
    targets, metric = np.array([0, 1, 0, 1]), metrics.get("macro_f1", "binary")
    decision = thresholds.fit(BINARY, metric, targets, logits_of(np.full(4, 0.3)))
    assert decision.thresholds == [0.5]


def test_a_folds_labels_have_no_part_in_its_cuts() -> None:
    targets, logits = grades(300)
    folds, metric = np.arange(300) % 3, metrics.get("quadratic_weighted_kappa", "ordinal")

    def decide(labels: np.ndarray) -> np.ndarray:
        return thresholds.out_of_fold(GRADES, metric, labels, lambda _: logits, folds)

    found, again = decide(targets), decide(np.where(folds == 0, 3 - targets, targets))
    assert np.array_equal(again[folds == 0], found[folds == 0])
    assert not np.array_equal(again[folds == 1], found[folds == 1])


def test_the_best_cut_for_f1_is_the_best_of_all() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        wanted = (rng.random(40) < 0.3).astype(float)
        found = (rng.random(40) + 0.3 * wanted).round(1).clip(0, 1)  # with many alike
        cut = thresholds._best_for_f1(wanted, found)
        places = np.append(np.unique(found) - 1e-6, 2)
        best = max(f1_score(wanted, found > place, zero_division=0) for place in places)
        assert f1_score(wanted, found > cut, zero_division=0) == pytest.approx(best), seed


@pytest.mark.parametrize("name", ["accuracy", "samples_f1"])
@pytest.mark.parametrize("fewest", [0, 1])
@pytest.mark.parametrize(("images", "labels"), [(9, 2), (300, 5), (5000, 3)])
def test_the_best_cut_for_images_is_the_best_place_of_the_grid(
    name: str, fewest: int, images: int, labels: int
) -> None:
    rng = np.random.default_rng(images)
    targets = (rng.random((images, labels)) < 0.2).astype(np.float32)
    if fewest:
        targets[np.arange(images), rng.integers(labels, size=images)] = 1
    predicted = (0.3 * targets + 0.6 * rng.random((images, labels))).round(2)  # many on the grid
    metric, task = metrics.get(name, "multilabel"), LABELS._replace(classes=[*"abcde"[:labels]])
    assert decisions.min_labels(targets) == fewest
    scores = np.array(
        [
            metric.function(
                targets, decisions.labels(task, predicted, DecisionRule([cut], 0, fewest))
            )
            for cut in thresholds.GRID
        ]
    )
    best = thresholds.GRID[scores >= scores.max() - 1e-12]
    nearest = best[abs(best - 0.5).argmin()]
    assert thresholds._best_for_images(name, targets, predicted) == nearest
    assert scores.max() > scores.min()


def test_only_metrics_of_labels_want_cuts() -> None:
    for task, name, wanted in (
        (BINARY, "macro_f1", True),
        (BINARY, "accuracy", False),
        (BINARY, "roc_auc", False),
        (LABELS, "samples_f1", True),
        (GRADES, "quadratic_weighted_kappa", True),
        (NUMBER, "rmse", False),
        (Task("multiclass", list("abc")), "macro_f1", False),
    ):
        assert thresholds.is_fitted(task, metrics.get(name, task.name)) is wanted
