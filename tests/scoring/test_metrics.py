import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    roc_auc_score,
    roc_curve,
    root_mean_squared_log_error,
)

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.scoring import decisions, functions, metrics
from podium.scoring.task import Task

TASK = Task("multiclass", ["a", "b", "c"])
TARGETS = np.array([0, 0, 0, 1, 2])
LOGITS = np.log(np.array([
    [0.8, 0.1, 0.1],
    [0.6, 0.3, 0.1],
    [0.2, 0.7, 0.1],
    [0.1, 0.8, 0.1],
    [0.5, 0.2, 0.3],
]))  # fmt: skip


def score(name: str, rows: int = 5) -> float:
    metric = metrics.get(name, "multiclass")
    return decisions.score(TASK, metric, TARGETS[:rows], LOGITS[:rows])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 3 / 5),
        ("balanced_accuracy", (2 / 3 + 1 + 0) / 3),
        ("macro_f1", (2 * 2 / (2 * 2 + 1 + 1) + 2 / 3 + 0) / 3),
        ("log_loss", -np.log([0.8, 0.6, 0.2, 0.8, 0.3]).mean()),
    ],
)
def test_a_metric_is_what_its_formula_says(name: str, expected: float) -> None:
    assert score(name) == pytest.approx(expected)


def test_less_is_better_for_a_loss() -> None:
    loss, f1 = (metrics.get(name, "multiclass") for name in ("log_loss", "macro_f1"))
    assert loss.rank(0.1) > loss.rank(0.2)
    assert f1.rank(0.1) < f1.rank(0.2)


def test_a_fold_without_one_of_the_classes_can_be_scored() -> None:
    for name in metrics.names("multiclass"):
        assert np.isfinite(score(name.replace("@k", "@2"), rows=4)), name


INDICATORS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
EACH = np.array([[0.9, 0.2, 0.4], [0.1, 0.6, 0.2], [0.3, 0.8, 0.1], [0.7, 0.4, 0.3]])
MANY = Task("multilabel", ["a", "b", "c"])


def score_of_many(name: str) -> float:
    logits = np.log(EACH / (1 - EACH))
    return decisions.score(MANY, metrics.get(name, "multilabel"), INDICATORS, logits)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 1 / 4),
        ("macro_f1", (1 + 2 / 4 + 0) / 3),
        ("micro_f1", 2 * 3 / (2 * 3 + 1 + 2)),
        ("samples_f1", (2 / 3 + 0 + 1 + 2 / 3) / 4),
        ("roc_auc", (1 + 3 / 4 + 1) / 3),
        ("log_loss", -np.log(np.where(INDICATORS > 0, EACH, 1 - EACH)).mean()),
        ("map@1", (1 + 0 + 1 + 1) / 4),
        ("map@2", (1 + 0 + 1 + 1) / 4),
    ],
)
def test_a_metric_of_several_labels_is_what_its_formula_says(name: str, expected: float) -> None:
    assert score_of_many(name) == pytest.approx(expected)


def test_average_precision_of_several_labels_is_the_mean_of_scikit_learns() -> None:
    expected = np.mean([average_precision_score(INDICATORS[:, c], EACH[:, c]) for c in range(3)])
    assert score_of_many("average_precision") == pytest.approx(expected)


def test_auc_of_more_classes_is_scikit_learns_one_against_the_rest() -> None:
    targets = np.array([0, 0, 1, 1, 2, 2])
    shares = softmax(np.random.default_rng(0).normal(0, 1, (6, 3)), axis=1)
    expected = roc_auc_score(targets, shares, multi_class="ovr", average="macro")
    metric = metrics.get("roc_auc", "multiclass")
    assert decisions.score(TASK, metric, targets, np.log(shares)) == pytest.approx(expected)


def test_auc_and_precision_of_two_classes_are_of_the_second() -> None:
    two, targets = Task("binary", ["no", "yes"]), np.array([0, 1, 0, 1, 1])
    second = np.array([0.2, 0.7, 0.4, 0.3, 0.9])
    logits = np.log(np.stack([1 - second, second], axis=1))
    for name, expected in (
        ("roc_auc", roc_auc_score(targets, second)),
        ("average_precision", average_precision_score(targets, second)),
    ):
        found = decisions.score(two, metrics.get(name, "binary"), targets, logits)
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("mae", 1.0), ("rmse", np.sqrt(6 / 4)), ("r2", 1 - 6 / 5)]
)
def test_a_metric_of_numbers_is_what_its_formula_says(name: str, expected: float) -> None:
    task = Task("regression", ["age"])
    targets, found = np.array([[1.0], [2], [3], [4]]), np.array([[2.0], [4], [3], [5]])
    metric = metrics.get(name, "regression")
    assert decisions.score(task, metric, targets, found) == pytest.approx(expected)


def test_kappa_is_scikit_learns_of_grades_and_of_rounded_numbers() -> None:
    targets, found = np.array([0, 1, 2, 2, 1]), np.array([0, 1, 1, 2, 2])
    expected = cohen_kappa_score(targets, found, weights="quadratic")
    metric = metrics.get("quadratic_weighted_kappa", "ordinal")
    grades = Task("ordinal", ["0", "1", "2"])
    assert decisions.score(grades, metric, targets, 9.0 * np.eye(3)[found]) == pytest.approx(
        expected
    )
    number = Task("regression", ["grade"])
    near = found[:, None] + 0.3
    assert decisions.score(number, metric, targets[:, None], near) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("binary", "roc_auc"),
        ("multiclass", "accuracy"),
        ("multilabel", "roc_auc"),
        ("ordinal", "quadratic_weighted_kappa"),
        ("regression", "rmse"),
    ],
)
def test_each_task_has_a_default_metric(task: TaskName, name: str) -> None:
    assert metrics.get(None, task).name == metrics.names(task)[0] == name
    assert task in metrics.METRICS[name].tasks


def test_a_metric_at_k_has_its_k() -> None:
    metric = metrics.get("map@12", "multilabel")
    assert (metric.name, metric.k) == ("map@12", 12)
    assert metrics.family("map@12") == "map@k" and metrics.family("macro_f1") == "macro_f1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("matthews", "mcc"),
        ("samples_f1", "multiclass"),
        ("map@k", "map@5"),
        ("acuracy", "accuracy"),
        ("sklearn.metrics:f1_score", "custom/<file>.py:f1_score"),
    ],
)
def test_a_wrong_name_is_an_error_that_says_what_to_write(name: str, text: str) -> None:
    with pytest.raises(UserError, match=text):
        metrics.get(name, "multiclass")


LABELS = [m for m in metrics.METRICS.values() if m.inputs == "labels"]


@pytest.mark.parametrize("metric", LABELS, ids=lambda metric: metric.name)
def test_a_metric_of_weighted_labels_is_that_of_repeated_ones(metric: metrics.Metric) -> None:
    counts = np.array([3, 1, 2, 4])
    targets, labels = np.array([0, 1, 2, 1]), np.array([0, 2, 2, 1])
    if "multilabel" in metric.tasks:
        targets, labels = np.eye(3)[targets], (EACH > 0.5).astype(float)
    elif metric.tasks == ("binary",):
        targets, labels = targets % 2, labels % 2
    expected = metric.function(targets.repeat(counts, axis=0), labels.repeat(counts, axis=0))
    assert metric.accepts_sample_weight
    assert metric.function(targets, labels, sample_weight=counts) == pytest.approx(expected)


def test_a_grade_that_does_not_occur_keeps_its_place_in_kappa() -> None:
    grades, metric = Task("ordinal", [*"01234"]), metrics.get(None, "ordinal")
    targets, found = np.array([0, 1, 4, 4, 0, 1]), np.array([0, 4, 4, 1, 1, 1])
    expected = cohen_kappa_score(targets, found, weights="quadratic", labels=range(5))
    assert expected != pytest.approx(cohen_kappa_score(targets, found, weights="quadratic"))
    assert decisions.score(grades, metric, targets, 9.0 * np.eye(5)[found]) == pytest.approx(
        expected
    )
    apart = Task("ordinal", ["1", "2", "10"])  # the grades themselves, not their places
    targets, found = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1])
    numbers = np.array([1, 2, 10])
    expected = cohen_kappa_score(
        numbers[targets], numbers[found], weights="quadratic", labels=range(1, 11)
    )
    assert decisions.score(apart, metric, targets, 9.0 * np.eye(3)[found]) == pytest.approx(
        expected
    )


def test_the_rank_of_one_label_is_its_place_among_all() -> None:
    shares = np.array([[0.2, 0.5, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    task = Task("multiclass", [*"abcd"])
    metric = metrics.get("map@3", "multiclass")
    for targets, expected in (([2, 2], (1 / 3 + 1 / 3) / 2), ([3, 3], 0), ([1, 0], 1)):
        found = decisions.score(task, metric, np.array(targets), np.log(shares))
        assert found == pytest.approx(expected)


def test_a_metric_has_the_name_of_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds are tuned by name: a copied entry must not be tuned for the original."""
    monkeypatch.setitem(metrics.METRICS, "mine", metrics.METRICS["accuracy"])
    assert metrics.get("mine", "multilabel").name == "mine"


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_a_metric_of_several_numbers_is_the_mean_over_them(name: str) -> None:
    task = Task("regression", ["u", "v"])
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(9, 2)).astype(np.float32) * [1, 100]
    predicted = targets + rng.normal(size=(9, 2))
    metric = metrics.get(name, "regression")
    columns = [metric.function(a, b) for a, b in zip(targets.T, predicted.T, strict=True)]
    assert decisions.score(task, metric, targets, predicted) == pytest.approx(np.mean(columns))


def test_gap_is_the_micro_average_precision_of_the_best_classes() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=50)
    targets = rng.integers(4, size=50)
    best, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    expected = average_precision_score(right, best) * right.sum() / 50
    assert functions.gap(targets, probabilities) == pytest.approx(expected)
    assert functions.gap(probabilities.argmax(axis=1), probabilities) == 1


RANDOM = np.random.default_rng(3)
TWO = RANDOM.integers(2, size=80)
SCORES = np.clip(RANDOM.normal(0.4 + 0.2 * TWO, 0.3), 0.01, 0.99)
PROBABILITIES = np.stack([1 - SCORES, SCORES], axis=1)


def test_f_beta_is_scikit_learns() -> None:
    task, logits = Task("binary", ["no", "yes"]), np.log(PROBABILITIES)
    labels = SCORES > 0.5
    for name, beta in (("f1", 1), ("f2", 2)):
        found = decisions.score(task, metrics.get(name, "binary"), TWO, logits)
        precision, recall = TWO[labels].mean(), labels[TWO == 1].mean()
        expected = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
        assert found == pytest.approx(expected)
        assert metrics.get(name, "binary").tune_for == ("binary",)
    targets = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]])
    found = metrics.get("samples_f2", "multilabel").function(targets, targets[:, ::-1])
    assert found == pytest.approx((1 + 1 + 0.5) / 3)


def test_partial_auc_is_the_area_above_a_true_positive_rate() -> None:
    rates = np.linspace(0, 1, 20_001)
    fpr, tpr, _ = roc_curve(TWO, SCORES, drop_intermediate=False)
    height = np.clip(np.interp(rates, fpr, tpr) - 0.8, 0, None)
    area = np.trapezoid(height, rates)
    assert functions.partial_auc(TWO, PROBABILITIES) == pytest.approx(area, abs=2e-4)
    perfect = np.eye(2)[TWO]
    assert functions.partial_auc(TWO, perfect) == pytest.approx(0.2)
    assert np.isnan(functions.partial_auc(np.ones(80, int), PROBABILITIES))


def weighted_auc(targets: np.ndarray, scores: np.ndarray) -> float:
    """The weighted AUC without a curve: for each negative, the share of positives above it, of
    which up to 0.4 count twice. Only without ties.
    """
    above = (scores[targets == 1] > scores[targets == 0][:, None]).mean(axis=1)  # [negatives]
    return float((above + np.minimum(above, 0.4)).mean() / 1.4)


def test_weighted_auc_counts_the_area_below_a_true_positive_rate_twice() -> None:
    untied = PROBABILITIES + np.linspace(0, 1e-3, 80)[:, None]
    expected = weighted_auc(TWO, untied[:, 1])
    assert functions.weighted_auc(TWO, untied) == pytest.approx(expected)
    assert functions.weighted_auc(TWO, np.eye(2)[TWO]) == 1
    assert functions.weighted_auc(TWO, np.eye(2)[1 - TWO]) == 0
    # All tied: the curve is the diagonal, with the areas 1/2, and 0.4 - 0.4 ** 2 / 2 below.
    tied = functions.weighted_auc(TWO, np.full((80, 2), 0.5))
    assert tied == pytest.approx((0.5 + 0.4 - 0.08) / 1.4)
    assert np.isnan(functions.weighted_auc(np.zeros(80, int), PROBABILITIES))


def published_weighted_auc(targets: np.ndarray, scores: np.ndarray) -> float:
    """As the competition's page defines it, by regions of the curve, interpolated finely."""
    fpr, tpr, _ = roc_curve(targets, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 200_001)
    curve = np.interp(grid, fpr + np.linspace(0, 1e-9, len(fpr)), tpr)
    edges, weights = (0.0, 0.4, 1.0), (2, 1)
    areas = [
        weight * np.trapezoid(np.clip(curve, low, high) - low, grid)
        for low, high, weight in zip(edges, edges[1:], weights, strict=False)
    ]
    return float(sum(areas) / np.dot(np.diff(edges), weights))


def test_weighted_auc_with_ties_is_the_published_formula() -> None:
    rounded = np.round(PROBABILITIES, 1)
    expected = published_weighted_auc(TWO, rounded[:, 1])
    assert functions.weighted_auc(TWO, rounded) == pytest.approx(expected, abs=1e-4)


def test_f_beta_of_several_labels_is_scikit_learns() -> None:
    labels = (EACH > 0.5).astype(int)
    for average in ("macro", "micro"):
        expected = fbeta_score(INDICATORS, labels, beta=2, average=average)
        assert score_of_many(f"{average}_f2") == pytest.approx(expected)
    assert metrics.get("f0.5", "binary").function(TWO, TWO[::-1]) == pytest.approx(
        fbeta_score(TWO, TWO[::-1], beta=0.5)
    )


def test_a_pooled_rmse_is_of_all_values_together() -> None:
    task = Task("regression", ["u", "v"])
    targets, found = np.array([[0.0, 0], [0, 0]]), np.array([[3.0, 0], [0, 1]])
    values = {
        name: decisions.score(task, metrics.get(name, "regression"), targets, found)
        for name in ("pooled_rmse", "rmse")
    }
    assert values["pooled_rmse"] == pytest.approx(np.sqrt(10 / 4))
    assert values["rmse"] == pytest.approx((np.sqrt(9 / 2) + np.sqrt(1 / 2)) / 2)


def average_precision_at(k: int, actual: set[int], ranked: np.ndarray) -> float:
    """Average precision at k, as Kaggle's metric page defines it."""
    hits, total = 0, 0.0
    for place, label in enumerate(ranked[:k], start=1):
        if label in actual:
            hits += 1
            total += hits / place
    return total / min(len(actual), k) if actual else 0.0


@pytest.mark.parametrize("k", [1, 3, 5, 40])
def test_map_at_k_is_the_published_formula(k: int) -> None:
    rng = np.random.default_rng(k)
    shares = rng.random((30, 12))
    ranked, targets = (-shares).argsort(axis=1), rng.integers(12, size=30)
    function = metrics.get(f"map@{k}", "multiclass").function
    single = [average_precision_at(k, {t}, row) for t, row in zip(targets, ranked, strict=True)]
    assert function(targets, shares) == pytest.approx(np.mean(single))
    many = (rng.random((30, 12)) < 0.2).astype(np.float32)
    several = [
        average_precision_at(k, {*np.flatnonzero(row)}, best)
        for row, best in zip(many, ranked, strict=True)
    ]
    assert function(many, shares) == pytest.approx(np.mean(several))


def test_probabilistic_f1_of_certain_predictions_is_f1() -> None:
    labels = (SCORES > 0.5).astype(int)
    assert functions.probabilistic_f1(TWO, np.eye(2)[labels]) == pytest.approx(
        f1_score(TWO, labels)
    )
    true, false = SCORES[TWO == 1].sum(), SCORES[TWO == 0].sum()
    precision, recall = true / (true + false), true / TWO.sum()
    assert functions.probabilistic_f1(TWO, PROBABILITIES) == pytest.approx(
        2 * precision * recall / (precision + recall)
    )
    assert np.isnan(functions.probabilistic_f1(0 * TWO, PROBABILITIES))


def test_rmsle_and_mape_are_scikit_learns() -> None:
    targets, values = RANDOM.uniform(1, 9, (2, 20, 3))
    rmsle = metrics.get("rmsle", "regression").function
    assert rmsle(targets, values) == pytest.approx(root_mean_squared_log_error(targets, values))
    assert rmsle(targets[:, 0], values[:, 0]) == pytest.approx(
        root_mean_squared_log_error(targets[:, 0], values[:, 0])
    )
    assert rmsle(np.zeros(2), np.array([-5.0, 0])) == 0
    assert np.isnan(rmsle(-targets, values))
    mape = metrics.get("mape", "regression").function
    assert mape(targets, values) == pytest.approx(np.abs(1 - values / targets).mean())
