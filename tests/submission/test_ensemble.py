from typing import Any

import numpy as np
import pandas as pd
import provenances
import pytest
from sklearn.metrics import f1_score

from podium.config.ensemble import Ensemble
from podium.core.provenance import Averaging
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import blend, ensemble, thresholds
from podium.submission.ensemble import Combined
from podium.submission.members import Member
from podium.submission.methods import base

RNG = np.random.default_rng(0)
TEST_IDS = ["t1", "t2"]
FOLDS = pd.DataFrame({"id": list("abcdef"), "label": ["x", "y"] * 3, "fold": [0, 0, 0, 1, 1, 1]})


def member(
    oof: np.ndarray,
    task: Task = Task("multiclass", ["x", "y"]),  # noqa: B008  immutable
    averaging: Averaging = "logits",
) -> Member:
    training = provenances.training(task=task.name, classes=task.classes)
    test = np.zeros((len(TEST_IDS), oof.shape[1]), np.float32)
    provenance = provenances.prediction(training, averaging=averaging)
    return Member(oof.astype(np.float32), test, [provenance])


def combine(
    members: dict[str, Member], folds: pd.DataFrame, metric: str, **options: Any
) -> Combined:
    task = Task.of(members["a"].provenance[0])
    return ensemble.combine(
        members,
        folds,
        test_ids=TEST_IDS,
        options=Ensemble(members=[*members], **options),
        metric=metrics.get(metric, task.name),
    )


def multilabel(count: int = 20) -> tuple[Task, np.ndarray, pd.DataFrame]:
    """Rare labels, at least one per image, and random logits that say nothing about them."""
    task, rng = Task("multilabel", [f"c{n:02d}" for n in range(count)]), np.random.default_rng(0)
    targets = rng.random((60, count)) < 0.1
    targets[~targets.any(axis=1), 0] = True
    labels = ["|".join(np.array(task.classes)[row]) for row in targets]
    ids = [f"i{index:03d}" for index in range(60)]
    folds = pd.DataFrame({"id": ids, "label": labels, "fold": np.arange(60) % 5})
    return task, rng.normal(-2, 1, (60, count)), folds


def test_scores_are_given_by_fold_and_together() -> None:
    truth = np.eye(2)[[0, 1] * 3]
    right = np.array([1, 1, 1, -1, -1, -1])[:, None]
    members = {"a": member(5 * truth), "b": member(right * truth)}
    b = combine({"a": members["b"]}, FOLDS, "accuracy")
    assert (b.scores["oof"], b.scores["mean"], b.scores["folds"]) == (0.5, 0.5, {0: 1.0, 1: 0.0})
    assert b.scores["std"] == pytest.approx(np.std([0, 1], ddof=1))
    both = combine(members, FOLDS, "accuracy")
    assert both.scores["oof"] == 1.0
    assert (both.oof.ids, both.oof.labels) == (FOLDS["id"].tolist(), FOLDS["label"].tolist())
    assert both.test.ids == TEST_IDS and both.test.provenance.weights == {"a": 0.5, "b": 0.5}


def test_the_summary_has_the_scores_and_weights_of_all() -> None:
    truth = np.eye(2)[[0, 1] * 3]
    members = {"a": member(truth), "b": member(-truth)}
    alone = {name: combine({"a": one}, FOLDS, "log_loss") for name, one in members.items()}
    both = combine(members, FOLDS, "log_loss", method="weighted")
    without = {"a": 0.9, "b": 0.1}
    summary = ensemble.summary(both, alone, metrics.get("log_loss", "multiclass"), without)
    assert summary["metric"] == "log_loss"
    assert summary["ensemble"]["oof"] == both.scores["oof"]
    assert summary["members"]["b"]["oof"] == alone["b"].scores["oof"]
    assert summary["members"]["b"]["ensemble_without"] == 0.1
    assert summary["members"]["a"]["weight"] == pytest.approx(1, abs=1e-3)
    assert summary["members"]["b"]["weight"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", ["macro_f1", "roc_auc"])
@pytest.mark.parametrize("method", blend.METHODS)
def test_a_folds_labels_change_nothing_that_is_predicted_for_it(name: str, method: str) -> None:
    task, logits, folds = multilabel(4)
    members = {"a": member(logits, task), "b": member(np.roll(logits, 7), task)}
    before = combine(members, folds, name, method=method).oof
    held_out = (folds["fold"] == 0).to_numpy()
    changed = folds["label"].where(~held_out, "")
    changed[0] = "|".join(task.classes)
    after = combine(members, folds.assign(label=changed), name, method=method).oof
    assert before.labels is not None and after.labels is not None
    assert np.array_equal(after.logits[held_out], before.logits[held_out])
    pairs = zip(after.labels, before.labels, held_out, strict=True)
    assert all(new == old for new, old, is_held_out in pairs if is_held_out)


def test_out_of_fold_labels_are_nested_and_score_what_is_reported() -> None:
    """Thresholds fitted to the images that they then label flatter even random predictions."""
    task, logits, folds = multilabel()
    combined = combine({"a": member(logits, task)}, folds, "macro_f1")
    targets = task.targets(folds["label"].tolist())
    assert combined.oof.labels is not None
    nested = f1_score(targets, task.targets(combined.oof.labels), average="macro")
    assert combined.scores["oof"] == pytest.approx(nested)
    rule = DecisionRule.of(combined.test.provenance.decision)
    fitted = task.probabilities(logits) > np.array(rule.thresholds)
    assert f1_score(targets, fitted, average="macro") > nested + 0.05


def test_final_thresholds_are_fitted_to_the_blend_that_they_are_applied_to() -> None:
    """Members of unlike scales: the folds' weights differ, and with them the scale of the blend."""
    task = Task("binary", ["no", "yes"])
    targets = (RNG.random(60) < 0.3).astype(int)
    second = {
        "a": 4 * (targets - 0.5) + RNG.normal(0, 6, 60) - 3,
        "b": 0.4 * (targets - 0.5) + RNG.normal(0, 0.6, 60),
    }
    members = {
        name: member(np.stack([0 * logit, logit], axis=1), task) for name, logit in second.items()
    }
    labels = np.array(task.classes)[targets]
    folds = pd.DataFrame({"id": [f"i{n}" for n in range(60)], "label": labels})
    folds["fold"] = np.arange(60) % 5
    combined = combine(members, folds, "macro_f1", method="weighted")
    stacked = np.stack([one.oof for one in members.values()])
    weights = np.array([*combined.test.provenance.weights.values()])
    blended = base.average(stacked, weights, "logits")
    assert not np.allclose(blended, combined.oof.logits)
    metric = metrics.get("macro_f1", "binary")
    expected = thresholds.fit(task, metric, targets, blended)
    assert combined.test.provenance.decision == expected.to_json()
    by_fold = thresholds.fit(task, metric, targets, combined.oof.logits)
    assert by_fold != expected


def test_cumulative_and_other_members_are_averaged_by_probabilities() -> None:
    task = Task("ordinal", ["0", "1", "2"])
    folds = FOLDS.assign(label=["1"] * 6)
    sure = np.log(np.tile([0.05, 0.9, 0.05], (6, 1)))
    veto = np.log(np.tile([0.6, 1e-6, 0.4], (6, 1)))
    members = {
        "a": member(sure, task),
        "b": member(sure + 3, task),
        "c": member(veto, task, averaging="probabilities"),
    }
    assert combine(members, folds, "accuracy").scores["oof"] == 1.0
    members["c"] = member(veto, task)
    assert combine(members, folds, "accuracy").scores["oof"] == 0.0


def test_with_a_single_fold_nothing_is_fitted_for_its_score() -> None:
    task, logits, folds = multilabel()
    folds = folds.assign(fold=0)
    members = {"a": member(logits, task), "b": member(np.roll(logits, 7), task)}
    combined = combine(members, folds, "macro_f1", method="weighted")
    assert combined.oof.logits == pytest.approx((logits + np.roll(logits, 7)) / 2, abs=1e-5)
    assert combined.scores["std"] is None
    assert combined.test.provenance.decision["thresholds"] is not None


@pytest.mark.parametrize("method", blend.METHODS)
def test_with_a_single_fold_a_method_that_needs_targets_is_a_mean(method: str) -> None:
    task, logits, folds = multilabel()
    folds = folds.assign(fold=0)
    members = {"a": member(logits, task), "b": member(np.roll(logits, 7), task)}
    found = combine(members, folds, "roc_auc", method=method).oof.logits
    mean = combine(members, folds, "roc_auc", method="mean").oof.logits
    assert np.array_equal(found, mean) == (method != "rank")


def test_a_member_without_signal_does_not_flatter_a_stack() -> None:
    """The strength is chosen within the other folds, so noise scores like noise."""
    rng, task = np.random.default_rng(0), Task("binary", ["no", "yes"])
    targets = rng.integers(0, 2, 200)
    folds = pd.DataFrame({"id": [f"i{n:03d}" for n in range(200)], "fold": np.arange(200) % 5})
    folds["label"] = np.array(task.classes)[targets]
    members = {name: member(rng.normal(0, 3, (200, 2)), task) for name in "abcde"}
    combined = combine(members, folds, "log_loss", method="stack")
    assert combined.scores["oof"] > np.log(2) - 0.005


def test_the_temperature_of_a_fold_is_fitted_to_the_others() -> None:
    rng, task = np.random.default_rng(0), Task("multiclass", ["x", "y", "z"])
    targets = rng.integers(0, 3, 150)
    logits = 20 * (2 * np.eye(3)[targets] + rng.normal(0, 1, (150, 3)))
    folds = pd.DataFrame({"id": [f"i{n:03d}" for n in range(150)], "fold": np.arange(150) % 3})
    folds["label"] = np.array(task.classes)[targets]
    members = {"a": member(logits, task)}
    plain, scaled = (combine(members, folds, "log_loss", temperature=t) for t in ("none", "fitted"))
    assert np.array_equal(plain.oof.logits, members["a"].oof)
    assert scaled.scores["oof"] < 0.5 * plain.scores["oof"]
    found = scaled.test.provenance.blend["temperature"]
    assert found == pytest.approx(np.median(plain.oof.logits / scaled.oof.logits), rel=0.2)
    held_out = (folds["fold"] == 0).to_numpy()
    other = folds.assign(label=folds["label"].where(~held_out, "z"))
    again = combine(members, other, "log_loss", temperature="fitted")
    assert np.array_equal(again.oof.logits[held_out], scaled.oof.logits[held_out])
    assert not np.array_equal(again.oof.logits[~held_out], scaled.oof.logits[~held_out])
    assert again.test.provenance.blend["temperature"] != found
    single = combine(members, folds.assign(fold=0), "log_loss", temperature="fitted")
    assert np.array_equal(single.oof.logits, members["a"].oof)
