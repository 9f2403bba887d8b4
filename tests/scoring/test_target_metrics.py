"""Metrics of several targets."""

import numpy as np
import pytest
from sklearn import metrics as sk

from podium.core.errors import UserError
from podium.scoring import decisions, metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import thresholds
from podium.submission.methods.weighted import columns_of_targets, fit_weights, loss_per_image

RNG = np.random.default_rng(0)
TASK = Task.join(
    {
        "kind": Task("multiclass", ["x", "y", "z"]),
        "kids": Task("binary", ["no", "yes"]),
        "size": Task("regression", ["size"]),
    }
)
N = 60
KINDS = ["" if n % 7 == 0 else "xyz"[n % 3] for n in range(N)]
KIDS = ["yes" if n % 4 == 0 else "no" for n in range(N)]
SIZES = ["" if n % 5 == 1 else str(n / 3) for n in range(N)]
LABELS = ["|".join(row) for row in zip(KINDS, KIDS, SIZES, strict=True)]
TARGETS = TASK.targets(LABELS)


def logits(noise: float, seed: int = 0) -> np.ndarray:
    """Logits near the targets, which are large for images without a label."""
    columns, known = columns_of_targets(TASK, TARGETS)
    scaled = columns * np.array([3, 3, 3, 3, 3, 1])
    wrong = np.random.default_rng(seed).normal(0, noise, columns.shape)
    found: np.ndarray = np.where(known > 0, scaled + wrong, 50.0).astype(np.float32)
    return found


def test_the_score_is_the_weighted_mean_of_the_labeled_images_scores() -> None:
    metric = metrics.get("mean(kind=balanced_accuracy, kids=3*roc_auc, size=0.5*r2)", TASK.name)
    values = logits(2.0)
    kind, kids, size = (~np.isnan(TARGETS[:, column]) for column in range(3))
    expected = [
        sk.balanced_accuracy_score(TARGETS[kind, 0], values[kind, :3].argmax(axis=1)),
        sk.roc_auc_score(TARGETS[kids, 1], values[kids, 4] - values[kids, 3]),
        sk.r2_score(TARGETS[size, 2], values[size, 5]),
    ]
    found = decisions.score(TASK, metric, TARGETS, values)
    assert found == pytest.approx(np.average(expected, weights=[1, 3, 0.5]))


def test_labels_and_texts_are_inverse() -> None:
    rule = DecisionRule(targets=[DecisionRule(), DecisionRule([0.01]), DecisionRule()])
    found = decisions.labels(TASK, TASK.probabilities(logits(0.1)), rule)
    assert (found[:, 1] == 1).mean() > 0.9  # a low threshold
    texts = decisions.to_texts(TASK, found)
    np.testing.assert_allclose(TASK.targets(texts), found, rtol=1e-4)
    assert DecisionRule.of(rule.to_json()) == rule
    assert "targets" not in DecisionRule([0.5]).to_json()


def test_each_target_has_its_own_thresholds() -> None:
    task = Task.join({"a": Task("binary", ["0", "1"]), "b": Task("binary", ["0", "1"])})
    truth = (RNG.random((200, 2)) < 0.2).astype(np.float32)
    values = np.zeros((200, 4), np.float32)
    for column, shift in enumerate((-2.0, 1.0)):
        values[:, 2 * column + 1] = 3 * truth[:, column] + RNG.normal(0, 1, 200) + shift
    truth[:20, 0] = np.nan
    metric = metrics.get("mean(a=f1, b=macro_f1)", task.name)
    rule = thresholds.fit(task, metric, truth, values)
    for part, name in zip(task.parts, ("f1", "macro_f1"), strict=True):
        rows = part.labeled(truth)
        own = thresholds.fit(
            part.task,
            metrics.get(name, "binary"),
            part.of_labeled(truth),
            values[rows][:, part.columns],
        )
        assert rule.targets is not None and rule.targets[part.position] == own
    tuned = decisions.score(task, metric, truth, values, rule=rule)
    assert tuned > decisions.score(task, metric, truth, values) + 0.02


def test_fitted_weights_minimize_the_sum_of_the_targets_losses() -> None:
    members = np.stack([logits(1.0, 1), logits(4.0, 2)])
    weights = fit_weights(TASK, members, TARGETS, "logits")
    columns, known = columns_of_targets(TASK, TARGETS)
    mean, std = map(np.array, TASK.scale(TARGETS))

    def loss(share: float) -> float:
        blended = (share * members[0] + (1 - share) * members[1] - mean) / std
        return float(loss_per_image(TASK, blended, (columns - mean) / std, known).mean())

    shares = np.linspace(0, 1, 101)
    best = shares[np.argmin([loss(share) for share in shares])]
    assert weights[0] == pytest.approx(best, abs=0.02) and 0.5 < best < 1
    changed = members.copy()
    changed[:, np.isnan(TARGETS[:, 0]), :3] = 7.0  # images without a label of it
    assert fit_weights(TASK, changed, TARGETS, "logits") == pytest.approx(weights)


@pytest.mark.parametrize(
    "name",
    ["accuracy(kind)", "accuracy(kind=-1)", "mean(kind=0*r2)", "mean(kind=r2, kind=mae)", "a b"],
)
def test_what_is_not_a_metric_of_several_targets(name: str) -> None:
    with pytest.raises(UserError, match="is not a metric of several targets"):
        metrics.get(name, "multitarget")


def test_a_target_without_labels_cannot_be_scored() -> None:
    targets = TARGETS.copy()
    targets[:, 0] = np.nan
    with pytest.raises(UserError, match=f"none of these {N} images has a label of kind"):
        decisions.score(TASK, metrics.get(None, TASK.name), targets, logits(1.0))


def test_the_pooled_error_is_that_of_all_labels() -> None:
    rng = np.random.default_rng(3)
    numbers = {name: Task("regression", [name]) for name in "abc"}
    task, targets = Task.join(numbers), rng.normal(size=(N, 3))
    targets[rng.random((N, 3)) < 0.4] = np.nan
    values = rng.normal(size=(N, 3)).astype(np.float32)
    errors = (values - targets)[~np.isnan(targets)]
    pooled = decisions.score(task, metrics.get("pooled_rmse", task.name), targets, values)
    assert pooled == pytest.approx(float(np.mean(errors**2) ** 0.5))
    per_target = np.nanmean((values - targets) ** 2, axis=0) ** 0.5
    mean = decisions.score(task, metrics.get("rmse", task.name), targets, values)
    assert mean == pytest.approx(float(per_target.mean())) and mean != pytest.approx(pooled)


@pytest.mark.parametrize("name", ["pooled_rmse(a=2)", "mean(a=pooled_rmse,b=rmse)"])
def test_the_pooled_error_has_no_weights(name: str) -> None:
    tasks = dict.fromkeys("ab", "regression")
    with pytest.raises(ValueError, match=r"pools all targets\. Use it alone, without weights"):
        metrics.check_name(name, "multitarget", tasks)
    metrics.check_name("pooled_rmse", "multitarget", tasks)
