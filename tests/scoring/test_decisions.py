import numpy as np
import pytest

from podium.core.errors import UserError
from podium.scoring import decisions, metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task

BINARY = Task("binary", ["no", "yes"])
MULTICLASS = Task("multiclass", ["a", "b", "c"])
MULTILABEL = Task("multilabel", ["a", "b", "c"])
REGRESSION = Task("regression", ["age"])
DEFAULT = DecisionRule()


def test_default_labels_are_the_highest_above_a_half_or_rounded() -> None:
    predicted = np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
    assert decisions.labels(MULTICLASS, predicted, DEFAULT).tolist() == [1, 0]
    predicted = np.array([[0.6, 0.4, 0.9]])
    assert decisions.labels(MULTILABEL, predicted, DEFAULT).tolist() == [[1, 0, 1]]
    predicted = np.array([[1.4], [2.6]])
    assert decisions.labels(REGRESSION, predicted, DEFAULT).tolist() == [[1], [3]]


def test_thresholds_decide_on_the_positive_class_the_expected_index_or_the_value() -> None:
    predicted = np.array([[0.7, 0.3], [0.9, 0.1]])
    assert decisions.labels(BINARY, predicted, DecisionRule([0.2])).tolist() == [1, 0]
    ordinal, predicted = Task("ordinal", ["1", "2", "4"]), np.array([[0.5, 0.4, 0.1]])  # 0.6
    assert decisions.labels(ordinal, predicted, DecisionRule([0.7, 0.8])).tolist() == [0]
    assert decisions.labels(ordinal, predicted, DecisionRule([0.5, 0.55])).tolist() == [2]
    rule = DecisionRule([2.2, 3.9], offset=5)
    assert decisions.labels(REGRESSION, np.array([[2.0], [3.0]]), rule).tolist() == [[5], [6]]


def test_an_image_gets_a_label_if_all_training_images_have_one() -> None:
    predicted = np.array([[0.1, 0.4, 0.2], [0.6, 0.2, 0.7], [0.3, 0.35, 0.0]])
    targets = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    rule = decisions.default_rule(MULTILABEL, targets)
    labels = decisions.labels(MULTILABEL, predicted, rule)
    assert labels.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    targets = np.array([[1, 0, 0], [0, 0, 0]], np.float32)
    rule = decisions.default_rule(MULTILABEL, targets)
    labels = decisions.labels(MULTILABEL, predicted, rule)
    assert labels.tolist() == [[0, 0, 0], [1, 0, 1], [0, 0, 0]]
    rule = DecisionRule([0.15, 0.8, 0.5], min_labels=1)  # nearest to its threshold, not highest
    assert decisions.labels(MULTILABEL, predicted[:1], rule).tolist() == [[1, 0, 0]]
    assert decisions.default_rule(BINARY, np.array([0, 1])) == DEFAULT


def test_an_undefined_score_is_an_error() -> None:
    with pytest.raises(UserError, match=r"roc_auc .* 2 images"):
        decisions.score(
            BINARY, metrics.get("roc_auc", "binary"), np.zeros(2, int), np.zeros((2, 2))
        )
    one = np.ones((1, 1), np.float32)
    with pytest.raises(UserError, match=r"r2 .* 1 images"):
        decisions.score(REGRESSION, metrics.get("r2", "regression"), one, one)


def test_label_texts_are_as_our_tables_have_them() -> None:
    for task, texts in (
        (MULTILABEL, ["a|c", ""]),
        (MULTICLASS, ["c", "a"]),
        (REGRESSION, ["2", "-1.5"]),
    ):
        assert decisions.to_texts(task, task.targets(texts)) == texts
