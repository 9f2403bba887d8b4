"""The methods that are fitted: what each finds, and that JSON keeps all it needs."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from podium.config.ensemble import Ensemble
from podium.config.tasks import TaskName
from podium.core.provenance import Averaging
from podium.scoring import decisions, metrics
from podium.scoring.task import Task
from podium.submission import blend
from podium.submission.methods import base, greedy
from podium.submission.methods.base import Blend, Examples

IMAGES = 240
TASKS: dict[TaskName, Task] = {
    "binary": Task("binary", ["no", "yes"]),
    "multiclass": Task("multiclass", ["a", "b", "c"]),
    "multilabel": Task("multilabel", ["a", "b", "c"]),
    "ordinal": Task("ordinal", ["0", "1", "2"]),
    "regression": Task("regression", ["age"]),
}
METRIC: dict[TaskName, str] = {
    "binary": "roc_auc",
    "multiclass": "accuracy",
    "multilabel": "macro_f1",
    "ordinal": "quadratic_weighted_kappa",
    "regression": "rmse",
}


def data(name: TaskName, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets, and logits that give each image its target."""
    rng, task = np.random.default_rng(seed), TASKS[name]
    if name == "regression":
        numbers = rng.normal(50, 10, (IMAGES, 1)).astype(np.float32)
        return numbers, numbers
    if name == "multilabel":
        labels = (rng.random((IMAGES, 3)) < 0.4).astype(np.float32)
        return labels, 6 * labels - 3
    targets = rng.integers(0, len(task.classes), IMAGES)
    return targets, 3 * np.eye(len(task.classes))[targets]


def noisy(logits: np.ndarray, size: float, seed: int) -> np.ndarray:
    return (logits + np.random.default_rng(seed).normal(0, size, logits.shape)).astype(np.float32)


def examples(
    name: TaskName,
    members: list[np.ndarray],
    targets: np.ndarray,
    metric: str | None = None,
    averaging: Averaging = "logits",
) -> Examples:
    task = TASKS[name]
    found = metrics.get(metric or METRIC[name], name)
    folds = np.arange(len(targets)) % 4
    return Examples(task, found, np.stack(members), targets, folds, averaging)


def score(given: Examples, fitted: Blend) -> float:
    blended = blend.apply(given.task, fitted, given.logits)
    return given.metric.rank(decisions.score(given.task, given.metric, given.targets, blended))


@pytest.mark.parametrize("method", blend.METHODS)
@pytest.mark.parametrize("name", TASKS)
def test_a_blend_that_json_kept_gives_the_same_bytes(name: TaskName, method: str) -> None:
    if (name, method) == ("regression", "rank"):
        pytest.skip("no metric of a regression suits ranks")
    targets, truth = data(name)
    given = examples(name, [noisy(truth, 3, 1), noisy(truth, 6, 2)], targets)
    fitted = blend.fit(method, given)
    kept = Blend(**json.loads(json.dumps(fitted._asdict())))
    other = noisy(given.logits, 1, 3)[:, :50]
    blended = blend.apply(given.task, fitted, other)
    assert blended.dtype == np.float32 and blended.shape == (50, truth.shape[1])
    assert np.isfinite(blended).all()
    assert blend.apply(given.task, kept, other).tobytes() == blended.tobytes()
    assert blend.fit(method, given) == fitted
    assert sum(fitted.weights) == pytest.approx(1) and min(fitted.weights) >= 0


# Rank


def test_binary_ranks_are_averaged() -> None:
    odds = np.array([[3.0, 1, 2, -5], [9, 8, -7, 0]])
    logits = np.stack([np.zeros((2, 4)), odds], axis=2)
    given = examples("binary", [*logits], np.array([1, 1, 0, 0]))
    blended = blend.apply(given.task, blend.fit("rank", given), given.logits)
    ranks = (np.array([[4, 2, 3, 1], [4, 3, 1, 2]]) - 0.5) / 4
    assert given.task.probabilities(blended)[:, 1] == pytest.approx(ranks.mean(axis=0), abs=1e-6)


@pytest.mark.parametrize("name", ["binary", "multilabel", "multiclass"])
def test_ranks_do_not_depend_on_how_a_member_scales_its_logits(name: TaskName) -> None:
    targets, truth = data(name)
    members = [noisy(truth, 3, 1), noisy(truth, 6, 2)]
    given = examples(name, members, targets, "roc_auc")
    changed = [(5 * members[0] + 7), np.cbrt(members[1])]
    if name == "multiclass":  # the order of a class's probabilities depends on all logits
        changed = [members[0] + 7, members[1] - np.arange(IMAGES)[:, None]]
    elif name == "binary":
        odds = [member[:, 1] - member[:, 0] for member in members]
        changed = [np.stack([0 * x, x], axis=1) for x in (5 * odds[0] + 7, np.cbrt(odds[1]))]
    fitted = blend.fit("rank", given)
    first = blend.apply(given.task, fitted, given.logits)
    again = blend.apply(given.task, fitted, np.stack(changed))
    np.testing.assert_allclose(again, first, atol=1e-5)
    mean = blend.fit("mean", given)
    plain = blend.apply(given.task, mean, given.logits)
    assert not np.allclose(blend.apply(given.task, mean, np.stack(changed)), plain, atol=0.1)


def test_multilabel_and_multiclass_ranks_are_those_of_each_class() -> None:
    targets, truth = data("multilabel")
    given = examples("multilabel", [noisy(truth, 3, 1), noisy(truth, 6, 2)], targets, "roc_auc")
    ranks = (np.mean([rankdata(member, axis=0) for member in given.logits], axis=0) - 0.5) / IMAGES
    blended = blend.apply(given.task, blend.fit("rank", given), given.logits)
    np.testing.assert_allclose(expit(blended), ranks, atol=1e-6)
    task = TASKS["multiclass"]
    shares = [
        rankdata(softmax(member.astype(float), axis=1), axis=0) - 0.5 for member in given.logits
    ]
    mean = np.mean(shares, axis=0)
    blended = blend.apply(task, blend.fit("rank", given), given.logits)
    found = task.probabilities(blended)
    np.testing.assert_allclose(found, mean / mean.sum(axis=1, keepdims=True), atol=1e-5)


def test_confident_logits_keep_their_order() -> None:
    """Probabilities round to 1, log-odds do not."""
    logits = np.zeros((1, 4, 3))
    logits[0, :, 1] = [50, 80, 60, 70]
    given = examples("multiclass", [*logits], np.array([0, 1, 2, 1]), "roc_auc")
    blended = blend.apply(given.task, blend.fit("rank", given), given.logits)
    assert rankdata(given.task.probabilities(blended)[:, 1]).tolist() == [1, 4, 2, 3]


def test_ranks_save_the_auc_of_members_on_unlike_scales() -> None:
    targets, truth = data("binary")
    members = [0.02 * noisy(truth, 4, 1), noisy(truth, 8, 2)]
    given = examples("binary", members, targets)
    auc = {method: score(given, blend.fit(method, given)) for method in ("mean", "rank")}
    assert auc["rank"] > auc["mean"] + 0.02
    assert auc["mean"] == pytest.approx(
        roc_auc_score(targets, members[1][:, 1] - members[1][:, 0]), abs=0.01
    )


@pytest.mark.parametrize(
    ("metric", "task", "suits"),
    [
        ("roc_auc", "binary", True),
        ("average_precision", "multilabel", True),
        ("log_loss", "binary", False),
        ("accuracy", "multiclass", False),
        ("map@3", "multiclass", False),
        ("rmse", "regression", False),
    ],
)
def test_rank_suits_metrics_of_the_order(metric: str, task: TaskName, suits: bool) -> None:
    options = Ensemble(members=["a"], method="rank")
    problems = [*blend.problems(options, metrics.get(metric, task))]
    assert (not problems) == suits
    if not suits:
        ((key, text),) = problems
        assert key == "ensemble.method" and metric in text and "roc_auc" in text
        assert "mean, weighted, greedy, stack" in text


# Greedy


@pytest.mark.parametrize("averaging", ["logits", "probabilities"])
@pytest.mark.parametrize("name", TASKS)
def test_greedy_selects_the_member_that_is_right(name: TaskName, averaging: Averaging) -> None:
    if averaging == "probabilities" and name in ("multilabel", "regression"):
        pytest.skip("always averaged by logits")
    targets, truth = data(name)
    members = [noisy(0 * truth, 20, 1), 4 * truth if name != "regression" else truth]
    members.append(noisy(0 * truth, 20, 2))
    fitted = blend.fit("greedy", examples(name, members, targets, averaging=averaging))
    assert fitted.weights[1] > 0.9


def test_greedy_follows_the_metric_and_not_the_loss() -> None:
    """A member that orders the images well with useless probabilities, and the reverse."""
    targets, truth = data("binary")
    shifted = noisy(truth, 1.5, 1) + np.array([0, 20])  # a good order, around another threshold
    calibrated = noisy(truth, 5, 2) / 5
    found = {
        metric: blend.fit("greedy", examples("binary", [shifted, calibrated], targets, metric))
        for metric in ("roc_auc", "log_loss")
    }
    assert found["roc_auc"].weights[0] > 0.5
    assert found["log_loss"].weights[0] < 0.1


def test_greedy_combines_members_that_complement_each_other() -> None:
    targets, truth = data("multiclass")
    left, right = noisy(truth, 4, 1), noisy(truth, 4, 2)
    given = examples("multiclass", [left, right, noisy(0 * truth, 30, 3)], targets)
    fitted = blend.fit("greedy", given)
    assert min(fitted.weights[:2]) > 0.2 and fitted.weights[2] < 0.05
    alone = [score(given, Blend("mean", "logits", [*row], {})) for row in np.eye(3)]
    assert score(given, fitted) > max(alone) + 0.02


def test_a_bag_is_half_of_each_class_and_differs_from_the_others() -> None:
    targets = np.array([0] * 100 + [1] * 11 + [2])
    logits = np.arange(len(targets), dtype=float)[None, :, None].repeat(3, axis=2)
    given = examples("multiclass", [*logits], targets)
    bags = [greedy._bag(given, number) for number in range(3)]
    assert [np.bincount(bag.targets).tolist() for bag in bags] == [[50, 6, 1]] * 3
    ids = [bag.logits[0, :, 0].tolist() for bag in bags]
    assert ids[0] != ids[1] != ids[2]
    assert all(
        (targets[np.array(i, int)] == bag.targets).all() for i, bag in zip(ids, bags, strict=True)
    )


@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
def test_the_fast_auc_is_the_metric(name: TaskName) -> None:
    targets, truth = data(name)
    task, columns = TASKS[name], targets
    if name != "multilabel":
        columns = np.eye(len(task.classes))[targets]
    predicted = task.probabilities(np.rint(noisy(truth, 4, 1)))  # with ties
    expected = metrics.get("roc_auc", name).function(targets, predicted)
    assert greedy.mean_auc(columns, predicted) == pytest.approx(expected, abs=1e-12)
    columns[:, 0] = 0
    if name == "multilabel":
        expected = metrics.get("roc_auc", name).function(columns, predicted)
        assert greedy.mean_auc(columns, predicted) == pytest.approx(expected, abs=1e-12)


# Stack


def test_stack_recovers_a_linear_combination_of_numbers() -> None:
    rng = np.random.default_rng(0)
    members = rng.normal(50, 10, (3, IMAGES, 1)).astype(np.float32)
    targets = (0.7 * members[0] - 0.2 * members[1] + 5).astype(np.float32)
    given = examples("regression", [*members], targets)
    fitted = blend.fit("stack", given)
    other = rng.normal(50, 10, (3, 20, 1)).astype(np.float32)
    found = blend.apply(given.task, fitted, other)
    np.testing.assert_allclose(found, 0.7 * other[0] - 0.2 * other[1] + 5, atol=0.1)
    assert fitted.weights == pytest.approx([7 / 9, 2 / 9, 0], abs=0.02)


@pytest.mark.parametrize("method", ["stack", "stack_lightgbm"])
def test_stack_takes_metadata(method: str) -> None:
    rng = np.random.default_rng(0)
    member = rng.normal(0, 1, (IMAGES, 1)).astype(np.float32)
    table = pd.DataFrame({"x": rng.normal(0, 1, IMAGES), "kind": [*"ab"] * (IMAGES // 2)})
    table.index = pd.Index([f"i{n}" for n in range(IMAGES)])
    shift = table["x"].to_numpy() + 2 * (table["kind"] == "b").to_numpy()
    targets = (member + shift[:, None]).astype(np.float32)
    given = examples("regression", [member], targets)._replace(metadata=table)
    fitted = blend.fit(method, given)
    found = blend.apply(given.task, fitted, given.logits, table)
    alone = blend.fit(method, given._replace(metadata=None))
    left = np.mean((blend.apply(given.task, alone, given.logits) - targets) ** 2)
    assert np.mean((found - targets) ** 2) < 0.3 * left
    assert fitted.weights == [1.0]
    kept = Blend(**json.loads(json.dumps(fitted._asdict())))
    again = blend.apply(given.task, kept, given.logits[:, ::-1], table[::-1])
    assert again[::-1].tobytes() == found.tobytes()


def test_stack_recovers_a_scale_a_shift_and_a_member_that_counts_against() -> None:
    """The true log-odds are 2 a - b + 1."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1, (2, 4000))
    targets = (rng.random(4000) < expit(2 * odds[0] - odds[1] + 1)).astype(int)
    members = [np.stack([0 * x, x], axis=1) for x in odds]
    given = examples("binary", members, targets)
    blended = blend.apply(given.task, blend.fit("stack", given), given.logits)
    slope = np.linalg.lstsq(np.stack([*odds, np.ones(4000)], axis=1), blended[:, 1] - blended[:, 0])
    assert slope[0] == pytest.approx([2, -1, 1], abs=0.2)


@pytest.mark.parametrize("name", ["multiclass", "multilabel", "ordinal"])
def test_stack_corrects_what_a_mean_cannot(name: TaskName) -> None:
    """A member that confuses two classes consistently, and one that is overconfident."""
    targets, truth = data(name)
    swapped, loud = noisy(truth[:, [1, 0, 2]], 1.5, 1), 10 * noisy(truth, 4, 2)
    given = examples(name, [swapped, loud], targets, "log_loss")
    half = np.arange(IMAGES) % 2 == 0
    part = given._replace(
        logits=given.logits[:, half], targets=targets[half], folds=given.folds[half] // 2
    )
    rest = given._replace(logits=given.logits[:, ~half], targets=targets[~half])
    losses = {m: -score(rest, blend.fit(m, part)) for m in ("mean", "weighted", "stack")}
    assert losses["stack"] < 0.7 * min(losses["mean"], losses["weighted"])


@pytest.mark.parametrize("name", ["binary", "multilabel", "regression"])
def test_trees_find_what_no_linear_stack_can(name: TaskName) -> None:
    """The answer is whether two of three members agree; also after a blend is read from JSON."""
    rng = np.random.default_rng(0)
    odds = rng.choice([-1.0, 1.0], (3, 600)) * rng.uniform(1, 3, (3, 600))
    targets = (odds[0] * odds[1] > 0).astype(int)
    labels = targets if name == "binary" else targets[:, None].astype(np.float32)
    members = [np.stack([0 * x, x], axis=1) if name == "binary" else x[:, None] for x in odds]
    given = examples(name, members, labels, "rmse" if name == "regression" else "log_loss")
    folds = np.arange(600) % 3
    part = given._replace(logits=given.logits[:, :400], targets=labels[:400], folds=folds[:400])
    rest = given._replace(logits=given.logits[:, 400:], targets=labels[400:], folds=folds[400:])
    fitted = {method: blend.fit(method, part) for method in ("stack", "stack_lightgbm")}
    losses = {method: -score(rest, found) for method, found in fitted.items()}
    assert losses["stack_lightgbm"] < 0.5 * losses["stack"]
    trees = fitted["stack_lightgbm"]
    assert trees.weights[2] < 0.05 and min(trees.weights[:2]) > 0.1
    read = base.Blend(**json.loads(json.dumps(trees._asdict())))
    np.testing.assert_array_equal(
        blend.apply(given.task, read, rest.logits), blend.apply(given.task, trees, rest.logits)
    )


def test_a_constant_of_all_classes_changes_nothing() -> None:
    targets, truth = data("multiclass")
    given = examples("multiclass", [noisy(truth, 3, 1), noisy(truth, 6, 2)], targets)
    fitted = blend.fit("stack", given)
    shifted = given.logits + np.array([100.0, -30.0])[:, None, None]
    np.testing.assert_allclose(
        blend.apply(given.task, fitted, shifted),
        blend.apply(given.task, fitted, given.logits),
        atol=1e-3,
    )


def test_a_method_of_ones_own_can_have_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(given: Examples) -> base.Fitted:
        return base.Fitted(np.array([1.0, 0.0]), {"shift": np.array([0.0, given.logits.mean()])})

    def apply(_: Task, fitted: Blend, logits: np.ndarray) -> np.ndarray:
        shifted: np.ndarray = logits[0] + np.array(fitted.arrays["shift"])
        return shifted

    monkeypatch.setitem(blend.METHODS, "mine", base.Method(fit, apply))
    targets, truth = data("binary")
    given = examples("binary", [truth, truth], targets)
    fitted = blend.fit("mine", given)
    assert blend.apply(given.task, fitted, given.logits) == pytest.approx(
        truth + np.array([0, 1.5])
    )


# Temperature


@pytest.mark.parametrize("method", ["mean", "weighted", "greedy"])
@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel", "ordinal"])
def test_the_temperature_undoes_a_known_scale(name: TaskName, method: str) -> None:
    rng, task = np.random.default_rng(0), TASKS[name]
    logits = rng.normal(0, 1.5, (4000, len(task.classes)))
    probabilities = task.probabilities(logits)
    targets: np.ndarray
    if name == "multilabel":
        targets = (rng.random(logits.shape) < probabilities).astype(np.float32)
    else:
        targets = np.array([rng.choice(len(row), p=row) for row in probabilities])
    given = examples(name, [3 * logits], targets, "log_loss")
    fitted = blend.fit(method, given)
    scaled = blend.scale(fitted, given)
    assert scaled.temperature == pytest.approx(3, rel=0.1)
    assert score(given, scaled) >= score(given, fitted)
    kept = Blend(**json.loads(json.dumps(scaled._asdict())))
    expected = blend.apply(task, fitted, given.logits) / scaled.temperature
    assert blend.apply(task, kept, given.logits) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("factor", [0.2, 1.0, 8.0])
def test_the_temperature_is_the_best(factor: float) -> None:
    targets, truth = data("multiclass")
    given = examples("multiclass", [factor * noisy(truth, 3, 1)], targets, "log_loss")
    scaled = blend.scale(blend.fit("mean", given), given)
    assert blend.scale(blend.fit("mean", given), given) == scaled
    others = [scaled._replace(temperature=scaled.temperature * x) for x in (0.5, 0.98, 1.02, 2.0)]
    assert score(given, scaled) > max(score(given, other) for other in others)


@pytest.mark.parametrize(
    ("metric", "suits"), [("log_loss", True), ("accuracy", False), ("roc_auc", False)]
)
def test_a_temperature_suits_the_log_loss(metric: str, suits: bool) -> None:
    options = Ensemble(members=["a"], temperature="fitted")
    found = metrics.get(metric, "multiclass")
    assert [key for key, _ in blend.problems(options, found)] == (
        [] if suits else ["ensemble.temperature"]
    )
    mine = found._replace(name="custom/mine.py:f", sha256="x", inputs="probabilities")
    assert not [*blend.problems(options, mine)]


def test_a_stack_needs_no_temperature() -> None:
    """On the images to which it was fitted it is surer than on others, so a temperature that is
    fitted to them would be wrong.
    """
    options = Ensemble(members=["a"], method="stack", temperature="fitted")
    problems = [*blend.problems(options, metrics.get("log_loss", "multiclass"))]
    assert problems == [
        ("ensemble.temperature", "none is what stack needs: it fits the scale itself.")
    ]
