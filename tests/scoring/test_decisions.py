import numpy as np
import pytest

from podium.core.errors import UserError
from podium.scoring import decisions, metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task

BINARY = Task("binary", ["no", "yes"])
LABELS = Task("multilabel", ["a", "b", "c"])
NUMBER = Task("regression", ["age"])


def test_plain_labels_are_the_likeliest_those_over_a_half_and_the_nearest_number() -> None:
    plain = DecisionRule()
    shares = np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
    assert decisions.labels(Task("multiclass", list("abc")), shares, plain).tolist() == [1, 0]
    each = np.array([[0.6, 0.4, 0.9]])
    assert decisions.labels(LABELS, each, plain).tolist() == [[1, 0, 1]]
    assert decisions.labels(NUMBER, np.array([[1.4], [2.6]]), plain).tolist() == [[1], [3]]


def test_an_image_has_a_label_if_all_that_were_learned_from_have_one() -> None:
    each = np.array([[0.1, 0.4, 0.2], [0.6, 0.2, 0.7], [0.3, 0.35, 0.0]])
    targets = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    found = decisions.labels(LABELS, each, decisions.plain(LABELS, targets))
    assert found.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    none = np.array([[1, 0, 0], [0, 0, 0]], np.float32)
    found = decisions.labels(LABELS, each, decisions.plain(LABELS, none))
    assert found.tolist() == [[0, 0, 0], [1, 0, 1], [0, 0, 0]]
    nearest = DecisionRule([0.15, 0.8, 0.5], min_labels=1)  # to its own cut, not the likeliest
    assert decisions.labels(LABELS, each[:1], nearest).tolist() == [[1, 0, 0]]
    assert decisions.plain(BINARY, np.array([0, 1])) == DecisionRule()


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(UserError, match="roc_auc of these 2 images is no number"):
        decisions.score(
            BINARY, metrics.get("roc_auc", "binary"), np.zeros(2, int), np.zeros((2, 2))
        )
    one = np.ones((1, 1), np.float32)
    with pytest.raises(UserError, match="r2 of these 1 images is no number"):
        decisions.score(NUMBER, metrics.get("r2", "regression"), one, one)


def test_texts_are_as_our_tables_have_labels() -> None:
    logits = np.array([[2.0, -1.0, 1.0], [-1.0, -1.0, -1.0]])
    assert decisions.texts(LABELS, logits, DecisionRule()) == ["a|c", ""]
    assert decisions.texts(Task("multiclass", list("abc")), logits, DecisionRule()) == ["a", "a"]
    assert decisions.texts(NUMBER, logits[:, :1], DecisionRule()) == ["2", "-1"]
