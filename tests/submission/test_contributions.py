import numpy as np
import pandas as pd
import provenances
import pytest

from podium.config.ensemble import Ensemble
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import contributions, ensemble
from podium.submission.members import Member

RNG = np.random.default_rng(0)
IMAGES = 200
FOLDS = pd.DataFrame({"id": [f"i{n:03d}" for n in range(IMAGES)], "fold": np.arange(IMAGES) % 4})


def member(logits: np.ndarray, task: Task) -> Member:
    provenance = provenances.prediction(provenances.training(task=task.name, classes=task.classes))
    return Member(logits.astype(np.float32), logits[:2].astype(np.float32), [provenance])


def data() -> tuple[dict[str, Member], pd.DataFrame]:
    task = Task("multiclass", ["x", "y", "z"])
    targets = RNG.integers(0, 3, IMAGES)
    truth = 2 * np.eye(3)[targets]
    logits = {
        name: truth + RNG.normal(0, size, (IMAGES, 3))
        for name, size in zip("abc", (1, 3, 9), strict=True)
    }
    folds = FOLDS.assign(label=np.array(task.classes)[targets])
    return {name: member(values, task) for name, values in logits.items()}, folds


@pytest.mark.parametrize("method", ["mean", "weighted", "stack"])
def test_without_a_member_is_the_ensemble_of_the_others(method: str) -> None:
    members, folds = data()
    metric = metrics.get("log_loss", "multiclass")
    options = Ensemble(members=["a", "b", "c"], method=method)
    without = contributions.scores_without(members, folds, options=options, metric=metric)
    for name, score in without.items():
        others = {other: one for other, one in members.items() if other != name}
        expected = ensemble.combine(
            others, folds, test_ids=["t", "u"], options=options, metric=metric
        )
        assert score == expected.scores["oof"]
    assert without["a"] > without["b"]  # log loss: without the best it is higher
    alone = {"a": members["a"]}
    assert not contributions.scores_without(alone, folds, options=options, metric=metric)


def test_errors_of_a_class_are_those_of_its_probability() -> None:
    members, folds = data()
    found = contributions.error_correlations(members, folds)
    task = Task("multiclass", ["x", "y", "z"])
    rows, targets = np.arange(IMAGES), task.targets(folds["label"].tolist())
    errors = [1 - task.probabilities(one.oof)[rows, targets] for one in members.values()]
    expected = np.corrcoef(errors)
    assert [[*row] for row in map(dict.values, found.values())] == [
        pytest.approx(row.tolist()) for row in expected
    ]
    assert list(found) == list(found["a"]) == ["a", "b", "c"]


def test_errors_of_numbers_have_a_sign() -> None:
    task = Task("regression", ["age"])
    numbers = RNG.normal(50, 10, (IMAGES, 1)).astype(np.float32)
    error = RNG.normal(0, 1, (IMAGES, 1))
    logits = {"a": numbers + error, "b": numbers - 2 * error, "c": numbers}
    members = {name: member(values, task) for name, values in logits.items()}
    folds = FOLDS.assign(label=[repr(float(n)) for n in numbers[:, 0]])
    found = contributions.error_correlations(members, folds)
    assert found["a"]["b"] == pytest.approx(-1) and found["a"]["a"] == pytest.approx(1)
    assert found["c"] == {"a": None, "b": None, "c": None}


def test_errors_of_labels_are_counted_one_by_one() -> None:
    task = Task("multilabel", ["x", "y"])
    labels = (RNG.random((IMAGES, 2)) < 0.5).astype(np.float32)
    logits = {name: 4 * labels - 2 + RNG.normal(0, 3, (IMAGES, 2)) for name in "ab"}
    members = {name: member(values, task) for name, values in logits.items()}
    texts = ["|".join(np.array(task.classes)[row > 0]) for row in labels]
    found = contributions.error_correlations(members, FOLDS.assign(label=texts))
    errors = [abs(labels - task.probabilities(one.oof)).ravel() for one in members.values()]
    assert found["a"]["b"] == pytest.approx(np.corrcoef(errors)[0, 1])
