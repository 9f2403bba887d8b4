"""Which labels are reported as likely errors, on features of known classes."""

import tracemalloc

import numpy as np
import pytest

from podium.explore import label_errors
from podium.explore.label_errors import Issue
from podium.features.neighbors import unit
from podium.scoring.task import Task

RNG = np.random.default_rng(0)
COUNT, NAMES = 400, ["a", "b", "c", "d"]
TRUE = np.arange(COUNT) % 4
CENTERS = RNG.normal(size=(4, 16))
FEATURES = unit(CENTERS[TRUE] + 0.5 * RNG.normal(size=(COUNT, 16))).astype(np.float32)
FOLDS = RNG.permutation(COUNT) % 5
FLIPPED = sorted(RNG.choice(COUNT, 16, replace=False).tolist())


def find(task: Task, labels: list[str], judged: np.ndarray | None = None) -> list[Issue]:
    rows = np.arange(COUNT) if judged is None else judged
    rng = np.random.default_rng(0)
    found, _, neighbors = label_errors.find(FEATURES, task, labels, FOLDS, rng, rows)
    similarity = FEATURES @ FEATURES.T
    np.fill_diagonal(similarity, -1)
    assert [near[0] for near in neighbors] == [similarity[i.row].argmax() for i in found]
    return found


@pytest.mark.parametrize("names", [NAMES, ["0", "1", "2", "3"]])
def test_flipped_labels_are_found_with_their_true_class(names: list[str]) -> None:
    given = TRUE.copy()
    given[FLIPPED] = (given[FLIPPED] + 1) % 4
    task = Task("ordinal" if names[0] == "0" else "multiclass", names)
    found = find(task, [names[c] for c in given])
    assert sorted(issue.row for issue in found) == FLIPPED
    assert all(issue.suggestion == names[TRUE[issue.row]] for issue in found)
    assert all(issue.alike < 5 for issue in found)
    assert [issue.score for issue in found] == sorted(issue.score for issue in found)


def test_it_is_known_how_many_are_not_listed() -> None:
    given = TRUE.copy()
    rows = RNG.choice(COUNT, 60, replace=False)
    given[rows] = (given[rows] + 1) % 4
    labels, rng = [NAMES[c] for c in given], np.random.default_rng(0)
    task = Task("multiclass", NAMES)
    found = label_errors.find(FEATURES, task, labels, FOLDS, rng, np.arange(COUNT))
    assert len(found.found) == 20 and 30 <= found.suspicious <= 80


def test_right_labels_are_not_listed() -> None:
    assert find(Task("multiclass", NAMES), [NAMES[c] for c in TRUE]) == []


def test_labels_of_a_class_that_cannot_be_told_are_not_listed_before_flipped_ones() -> None:
    given = np.where(RNG.random(COUNT) < 0.15, 4, TRUE)  # "other" looks like any
    rows = [row for row in FLIPPED if given[row] < 4]
    given[rows] = (given[rows] + 1) % 4
    names = [*NAMES, "other"]
    found = find(Task("multiclass", names), [names[c] for c in given])
    right = [issue.row in rows for issue in found]
    assert sum(right) >= 0.8 * len(rows) and sum(right) >= 0.6 * len(found)


def test_wrong_labels_of_a_multilabel_task_are_found() -> None:
    has = np.stack([TRUE % 2 == 0, TRUE < 2], axis=1)
    given = has.copy()
    given[FLIPPED, 0] ^= True
    labels = ["|".join(n for n, h in zip(("even", "low"), row, strict=True) if h) for row in given]
    found = find(Task("multilabel", ["even", "low"]), labels)
    assert sorted(issue.row for issue in found) == FLIPPED
    expected = {row: "with even" if has[row, 0] else "without even" for row in FLIPPED}
    assert {issue.row: issue.suggestion for issue in found} == expected
    clean = ["|".join(n for n, h in zip(("even", "low"), row, strict=True) if h) for row in has]
    assert find(Task("multilabel", ["even", "low"]), clean) == []


def test_numbers_far_from_those_of_neighbors_are_found() -> None:
    values = 10.0 * TRUE + RNG.normal(size=COUNT)
    task = Task("regression", ["y"])
    assert len(find(task, [f"{v}" for v in values])) <= 2
    values[FLIPPED] += 60
    found = find(task, [f"{v}" for v in values])
    assert {issue.row for issue in found} >= {*FLIPPED} and len(found) <= 20


def test_few_images_and_single_classes_are_no_problem() -> None:
    task = Task("binary", ["no", "yes"])
    for count in (1, 2, 5):
        labels = ["no"] * (count - 1) + ["yes"]
        found = label_errors.find(
            FEATURES[:count],
            task,
            labels,
            np.arange(count) % 2,
            np.random.default_rng(0),
            np.arange(count),
        )
        assert len(found.found) <= count


LABELS_OF = {
    "multiclass": lambda given: [NAMES[c] for c in given],
    "multilabel": lambda given: ["|".join(n for c, n in enumerate(NAMES) if c != g) for g in given],
    "regression": lambda given: [f"{v}" for v in 10.0 * TRUE + 60 * (given != TRUE)],
}


@pytest.mark.parametrize("name", LABELS_OF)
def test_only_the_labels_of_a_sample_are_judged(name: str) -> None:
    given = TRUE.copy()
    given[FLIPPED] = (given[FLIPPED] + 1) % 4
    classes = ["y"] if name == "regression" else NAMES
    judged = np.sort(RNG.choice(COUNT, 200, replace=False))
    found = {issue.row for issue in find(Task(name, classes), LABELS_OF[name](given), judged)}
    assert found >= {*FLIPPED} & {*judged.tolist()} and found <= {*judged.tolist()}


def test_with_many_classes_neighbors_judge_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = TRUE.copy()
    given[FLIPPED] = (given[FLIPPED] + 1) % 4
    labels = [NAMES[c] for c in given]
    many = Task("multiclass", [*NAMES, *(f"empty {n}" for n in range(500))])
    assert label_errors.has_classifier(Task("multiclass", NAMES))
    assert not label_errors.has_classifier(many)
    monkeypatch.setattr(label_errors, "LogisticRegression", None)  # is not called
    found = find(many, labels)
    assert sorted(issue.row for issue in found) == FLIPPED
    monkeypatch.setattr(label_errors, "CELLS", 7 * 504)
    assert find(many, labels) == found


def test_the_memory_for_probabilities_does_not_grow_with_the_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(label_errors, "CELLS", 2**19)
    many = Task("multiclass", [*NAMES, *(f"empty {n:05}" for n in range(80_000))])
    tracemalloc.start()
    find(many, [NAMES[c] for c in TRUE])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6  # a fold's 80 images of 80,000 classes in float64: 51 MB per array
