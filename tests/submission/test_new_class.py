from typing import Any

import numpy as np
import pandas as pd
import provenances
import pytest

from podium.config.ensemble import Ensemble
from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.scoring import decisions, metrics
from podium.scoring.task import Task
from podium.submission import contributions, ensemble, new_class, write
from podium.submission.ensemble import Combined
from podium.submission.members import Member
from podium.submission.methods.base import Blend

KNOWN, ALL = Task("multiclass", ["a", "b"]), Task("multiclass", ["a", "b", "new"])
CONFIDENT, UNSURE = [0.9, 0.1], [0.6, 0.4]


def log(*probabilities: list[float]) -> np.ndarray:
    return np.log(np.array(probabilities)).astype(np.float32) + 3  # logits are not normalized


@pytest.mark.parametrize(
    ("probabilities", "threshold", "best"),
    [
        ([0.5, 0.3], 0.4, "a new b"),
        ([0.5, 0.3], 0.6, "new a b"),
        ([0.25, 0.75], 0.2, "b a new"),
    ],
)
def test_the_new_class_is_listed_where_its_threshold_puts_it(
    probabilities: list[float], threshold: float, best: str
) -> None:
    task = Task("multiclass", ["a", "b", "c"])
    logits = log([*probabilities, max(0.01, 1 - sum(probabilities))])
    extended = new_class.append(logits, threshold)
    sample = pd.DataFrame({"id": ["1"], "label": ["new a b"]})
    submission = write.fill(
        sample,
        ["1"],
        extended,
        task=task.with_new_class("new"),
        rule=decisions.DecisionRule(),
        metric=metrics.get("map@3", "multiclass"),
        options=Submission(),
    )
    assert submission["label"].tolist() == [best]
    label = task.with_new_class("new").classes[extended.argmax()]
    assert (label == "new") == (max(probabilities) < threshold)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "map@2"])
def test_the_fitted_threshold_separates_known_and_new_images(metric: str) -> None:
    logits = log(CONFIDENT, CONFIDENT[::-1], UNSURE, UNSURE[::-1])
    targets = np.array([0, 1, 2, 2])
    threshold = new_class.fit(ALL, metrics.get(metric, "multiclass"), targets, logits)
    assert 0.6 < threshold < 0.9
    # If all are known, or all are new, no image is on the other side.
    score = metrics.get(metric, "multiclass")
    assert new_class.fit(ALL, score, np.array([0, 1, 0, 1]), logits) < 0.6
    assert new_class.fit(ALL, score, np.full(4, 2), logits) > 0.9


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_the_fitted_threshold_has_the_best_score_of_all(k: int) -> None:
    rng = np.random.default_rng(k)
    classes, images = 7, 80
    task = Task("multiclass", [*"abcdefg", "new"])
    logits = rng.normal(0, 2, (images, classes)).astype(np.float32)
    targets = np.where(rng.random(images) < 0.4, classes, logits.argsort(axis=1)[:, -2])
    metric = metrics.get(f"map@{k}", "multiclass")
    scores = {
        t: decisions.score(task, metric, targets, new_class.append(logits, t))
        for t in [*np.linspace(0.001, 0.999, 400), new_class.fit(task, metric, targets, logits)]
    }
    *grid, fitted = scores.values()
    assert fitted >= max(grid) > min(grid)


def combine(folds: pd.DataFrame, metric: str, logits: np.ndarray, **options: Any) -> Combined:
    training = provenances.training(classes=KNOWN.classes)
    member = Member(logits, log(CONFIDENT, UNSURE), [provenances.prediction(training)])
    return ensemble.combine(
        {"a": member},
        folds,
        test_ids=["t1", "t2"],
        options=Ensemble(members=["a"], **options),
        metric=metrics.get(metric, "multiclass"),
        new_class="new",
    )


def images(count: int = 60, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A third of each label; the logits say little about it."""
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b", "new"])[np.arange(count) % 3]
    ids = [f"{number:03d}" for number in range(count)]
    folds = pd.DataFrame({"id": ids, "label": labels, "fold": np.arange(count) // 3 % 3})
    strength = np.where(labels == "new", 0.5, 1.5)
    sign = np.where(labels == "b", -1, 1)
    value = sign * strength + rng.normal(0, 1, count)
    return folds, np.stack([value, -value], axis=1).astype(np.float32)


def test_the_threshold_is_fitted_to_the_other_folds_and_scored_on_this_one() -> None:
    folds, logits = images()
    before = combine(folds, "accuracy", logits)
    assert before.oof.provenance.classes == ["a", "b", "new"]
    labels = before.oof.labels
    assert labels is not None and {*labels} == {"a", "b", "new"}
    assert before.scores["oof"] == np.mean(np.array(labels) == folds["label"].to_numpy())
    held_out = (folds["fold"] == 0).to_numpy()
    changed = folds.assign(label=folds["label"].where(~held_out, "new"))
    after = combine(changed, "accuracy", logits)
    assert np.array_equal(after.oof.logits[held_out], before.oof.logits[held_out])
    assert not np.array_equal(after.oof.logits, before.oof.logits)
    threshold = before.test.provenance.blend["new_class_threshold"]
    full = new_class.fit(
        ALL, metrics.get("accuracy", "multiclass"), ALL.targets(folds["label"].tolist()), logits
    )
    assert threshold == full
    summary = ensemble.summary(before, {}, metrics.get("accuracy", "multiclass"), {})
    assert summary["ensemble"]["new_class_threshold"] == threshold


@pytest.mark.parametrize("method", ["weighted", "greedy", "stack"])
def test_blending_is_fitted_to_images_of_the_members_classes_only(method: str) -> None:
    folds, logits = images()
    known = (folds["label"] != "new").to_numpy()
    noise = np.random.default_rng(1).normal(0, 9, (len(folds), 2)).astype(np.float32)
    fitted = [
        combine(folds, "accuracy", np.where(known[:, None], logits, other), method=method,
                new_class_threshold=0.7)
        for other in (logits, noise)
    ]  # fmt: skip
    blends = [Blend(**combined.test.provenance.blend) for combined in fitted]
    assert blends[0] == blends[1] and blends[0].new_class_threshold == 0.7
    tests = [combined.test.logits for combined in fitted]
    assert np.array_equal(*tests) and tests[0].shape == (2, 3)


def test_nothing_to_fit_the_threshold_to_is_an_error_and_a_number_is_not() -> None:
    folds, logits = images()
    known = (folds["label"] != "new").to_numpy()
    few, logits = folds[known].reset_index(drop=True), logits[known]
    with pytest.raises(UserError, match=r"auto requires training images labeled new .*number"):
        combine(few, "accuracy", logits)
    combined = combine(few, "accuracy", logits, new_class_threshold=0.8)
    assert combined.oof.labels is not None and "new" in combined.oof.labels
    single = combine(folds[:6].assign(fold=0), "map@2", logits[:6])
    unfitted = new_class.append(logits[:6], new_class.DEFAULT_THRESHOLD)
    assert np.array_equal(single.oof.logits, unfitted)


def test_contributions_leave_new_images_out() -> None:
    folds, logits = images()
    training = provenances.training(classes=KNOWN.classes)
    members = {
        name: Member(values, logits[:2], [provenances.prediction(training)])
        for name, values in (("a", logits), ("b", logits * [[0.5, 0.5]]))
    }
    found = contributions.error_correlations(members, folds, new_class="new")
    known = folds["label"] != "new"
    few = {n: m.__class__(m.oof[known], m.test, m.provenance) for n, m in members.items()}
    assert found == contributions.error_correlations(few, folds[known].reset_index(drop=True))
    without = contributions.scores_without(
        members,
        folds,
        options=Ensemble(members=["a", "b"]),
        metric=metrics.get("accuracy", "multiclass"),
        new_class="new",
    )
    assert without.keys() == {"a", "b"}


def test_only_metrics_of_labels_or_of_the_best_labels_can_score_it() -> None:
    for name in ("accuracy", "macro_f1", "map@5"):
        assert new_class.problem(metrics.get(name, "multiclass")) is None
    for name in ("log_loss", "roc_auc"):
        assert "requires a metric of labels" in str(
            new_class.problem(metrics.get(name, "multiclass"))
        )
