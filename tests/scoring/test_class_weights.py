"""Metrics with a weight per class or target."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.scoring import decisions, metrics
from podium.scoring.task import Task

RNG = np.random.default_rng(0)
MANY = Task("multilabel", ["epidural", "subdural", "any"])
TARGETS = (RNG.random((40, 3)) < 0.4).astype(np.float32)
LOGITS = RNG.normal(size=(40, 3))
PROBABILITIES = 1 / (1 + np.exp(-LOGITS))


def score(name: str, task: Task, targets: np.ndarray, logits: np.ndarray) -> float:
    return decisions.score(task, metrics.get(name, task.name), targets, logits)


def test_a_class_counts_twice_in_the_log_loss() -> None:
    """The metric of rsna-intracranial-hemorrhage-detection: the mean over the rows of its
    submission, in which those of `any` have weight 2.
    """
    cells = -np.where(TARGETS > 0, np.log(PROBABILITIES), np.log(1 - PROBABILITIES))
    expected = (cells[:, 0] + cells[:, 1] + 2 * cells[:, 2]).sum() / (4 * len(cells))
    assert score("log_loss(any=2)", MANY, TARGETS, LOGITS) == pytest.approx(expected)
    assert score("log_loss(*=2)", MANY, TARGETS, LOGITS) == pytest.approx(cells.mean())


def test_a_label_that_is_present_has_another_weight() -> None:
    """As in rsna-2022-cervical-spine-fracture-detection."""
    weights = np.where(TARGETS > 0, [2, 2, 14], [1, 1, 7])
    expected = log_loss(TARGETS.ravel(), PROBABILITIES.ravel(), sample_weight=weights.ravel())
    found = score("log_loss(any=7:14, *=1:2)", MANY, TARGETS, LOGITS)
    assert found == pytest.approx(expected)


def test_a_class_without_positives_has_a_weighted_log_loss() -> None:
    targets = TARGETS * [1, 0, 1]
    found = score("log_loss(any=2)", MANY, targets, LOGITS)
    assert np.isfinite(found) and found != score("log_loss", MANY, targets, LOGITS)


def test_the_weight_of_a_single_label_is_that_of_its_image() -> None:
    task, targets = Task("multiclass", ["normal", "moderate", "severe"]), RNG.integers(3, size=40)
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = log_loss(targets, probabilities, sample_weight=np.array([1, 2, 4])[targets])
    assert score("log_loss(moderate=2,severe=4)", task, targets, LOGITS) == pytest.approx(expected)


def test_a_weighted_auc_is_the_weighted_mean_over_classes_for_which_it_is_defined() -> None:
    aucs = [roc_auc_score(TARGETS[:, c], LOGITS[:, c]) for c in range(3)]
    found = score("roc_auc(any=3)", MANY, TARGETS, LOGITS)
    assert found == pytest.approx((aucs[0] + aucs[1] + 3 * aucs[2]) / 5)
    found = score("roc_auc(any=3)", MANY, TARGETS * [0, 1, 1], LOGITS)
    assert found == pytest.approx((aucs[1] + 3 * aucs[2]) / 4)
    with pytest.raises(UserError, match="undefined"):
        score("roc_auc(any=3)", MANY, 0 * TARGETS, LOGITS)
    task = Task("multiclass", MANY.classes)
    targets = RNG.integers(3, size=40)
    plain, weighted = (score(n, task, targets, LOGITS) for n in ("roc_auc", "roc_auc(any=1)"))
    assert plain == pytest.approx(weighted)


def test_targets_have_weights() -> None:
    """As in trends-assessment-prediction, whose targets have the weights 0.3 and 0.175."""
    task = Task("regression", ["age", "domain"])
    found = score("mae(age=0.3,domain=0.175)", task, np.zeros((2, 2)), np.array([[1.0, 2], [3, 6]]))
    assert found == pytest.approx((0.3 * 2 + 0.175 * 4) / 0.475)


@pytest.mark.parametrize(
    ("name", "task", "problem"),
    [
        ("log_loss(any)", "multilabel", "'any' is not a weight"),
        ("log_loss(any=-1)", "multilabel", "'any=-1' is not a weight"),
        ("log_loss(any=1:2:3)", "multilabel", "'any=1:2:3' is not a weight"),
        ("log_loss(a=2,a=3)", "multilabel", "'a=3' is not a weight, or its class is repeated"),
        ("log_loss()", "multilabel", "'' is not a weight"),
        ("log_loss(a=1:2)", "multiclass", "two weights per class require"),
        ("accuracy(a=2)", "multiclass", "accuracy does not support weights for task: multiclass"),
        ("roc_auc(a=2)", "binary", "roc_auc does not support weights for task: binary"),
        ("logloss(a=2)", "binary", "unknown metric"),
    ],
)
def test_wrong_weights_are_an_error(name: str, task: TaskName, problem: str) -> None:
    with pytest.raises(UserError, match=problem.replace("(", r"\(")):
        metrics.get(name, task)


def test_weights_of_unknown_classes_are_an_error() -> None:
    with pytest.raises(UserError, match=r"unknown classes: All\. The classes are epidural"):
        score("log_loss(All=2)", MANY, TARGETS, LOGITS)
