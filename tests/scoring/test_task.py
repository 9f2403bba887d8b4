import numpy as np
import pytest
from scipy.special import expit, softmax

from podium.scoring.task import Task

LOGITS = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, 0.0]], np.float32)


@pytest.mark.parametrize("name", ["binary", "multiclass", "ordinal"])
def test_single_labels_become_class_indices(name: str) -> None:
    task = Task(name, ["3", "1", "2"])  # type: ignore[arg-type]
    assert task.targets(["1", "3", "1"]).tolist() == [1, 0, 1]
    assert task.targets(["1"]).dtype == np.int64
    assert task.single_label


def test_several_labels_become_indicators() -> None:
    task = Task("multilabel", ["b", "a", "a b"])
    targets = task.targets(["a|a b", "", "b"])
    assert targets.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert targets.dtype == np.float32 and not task.single_label


def test_regression_targets_are_a_column() -> None:
    assert Task("regression", ["age"]).targets(["1.5", "-2"]).tolist() == [[1.5], [-2]]


@pytest.mark.parametrize("name", ["multiclass", "multilabel"])
def test_an_unknown_label_is_an_error(name: str) -> None:
    with pytest.raises(KeyError, match="wasp"):
        Task(name, ["ant", "bee"]).targets(["ant", "wasp"])  # type: ignore[arg-type]


def test_logits_become_class_probabilities() -> None:
    names = ["0", "1", "2"]
    assert np.allclose(Task("multiclass", names).probabilities(LOGITS), softmax(LOGITS, axis=1))
    assert np.allclose(Task("multilabel", names).probabilities(LOGITS), expit(LOGITS))
    values = LOGITS[:, :1]
    assert np.array_equal(Task("regression", ["x"]).probabilities(values), values)


def test_the_value_of_an_ordinal_prediction_is_the_expected_level() -> None:
    task = Task("ordinal", ["1", "2", "4"])
    assert task.values(np.array([[0.5, 0.25, 0.25]])).tolist() == [2.0]
