import numpy as np
import pytest
from scipy.special import expit, softmax

from podium.scoring.task import Task

LOGITS = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, 0.0]], np.float32)


@pytest.mark.parametrize("task", ["binary", "multiclass", "ordinal"])
def test_a_class_is_its_place_among_the_classes(task: str) -> None:
    problem = Task(task, ["3", "1", "2"])  # type: ignore[arg-type]
    assert problem.targets(["1", "3", "1"]).tolist() == [1, 0, 1]
    assert problem.targets(["1"]).dtype == np.int64
    assert problem.one_class


def test_several_labels_are_zeros_and_ones() -> None:
    problem = Task("multilabel", ["b", "a", "a b"])
    found = problem.targets(["a|a b", "", "b"])
    assert found.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert found.dtype == np.float32 and not problem.one_class


def test_a_number_is_a_column() -> None:
    assert Task("regression", ["age"]).targets(["1.5", "-2"]).tolist() == [[1.5], [-2]]


def test_an_unknown_label_is_not_taken_for_another() -> None:
    for task in ("multiclass", "multilabel"):
        with pytest.raises(KeyError, match="wasp"):
            Task(task, ["ant", "bee"]).targets(["ant", "wasp"])  # type: ignore[arg-type]


def test_logits_become_probabilities_of_one_class_or_of_each() -> None:
    names = ["0", "1", "2"]
    assert np.allclose(Task("multiclass", names).probabilities(LOGITS), softmax(LOGITS, axis=1))
    assert np.allclose(Task("multilabel", names).probabilities(LOGITS), expit(LOGITS))
    numbers = LOGITS[:, :1]
    assert np.array_equal(Task("regression", ["x"]).probabilities(numbers), numbers)


def test_the_number_of_grades_is_their_expected_value() -> None:
    problem = Task("ordinal", ["1", "2", "4"])
    assert problem.values(np.array([[0.5, 0.25, 0.25]])).tolist() == [2.0]
