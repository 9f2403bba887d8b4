"""Predictions of images that share a row of the submission."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from podium.config.tasks import TaskName
from podium.scoring import units
from podium.scoring.task import Task

IMAGES = pd.DataFrame({"id": list("abcd"), "unit": list("yxyx")})


def combined(
    task: TaskName, logits: list[list[float]], how: units.How, **options: str
) -> np.ndarray:
    task_of = Task(task, [str(n) for n in range(len(logits[0]))])
    averaging = options.get("averaging", "logits")
    values = np.array(logits, np.float32)
    return units.aggregate(task_of, values, IMAGES, how, averaging)  # type: ignore[arg-type]


def test_units_are_in_the_order_of_their_first_images() -> None:
    assert units.table(IMAGES)["id"].tolist() == ["y", "x"]
    assert units.table(IMAGES[["id"]])["id"].tolist() == list("abcd")
    mean = combined("regression", [[1], [2], [3], [6]], "mean")
    assert mean.dtype == np.float32 and mean.tolist() == [[2], [4]]


def test_probabilities_are_averaged_where_the_loss_requires_it() -> None:
    logits = [[0.0, 1.0], [2.0, 0.0], [3.0, 0.0], [0.0, 0.0]]
    found = combined("ordinal", logits, "mean", averaging="probabilities")
    expected = softmax(np.array(logits), axis=1)[[0, 2]].mean(axis=0)
    assert softmax(found, axis=1)[0] == pytest.approx(expected)


def test_max_of_two_classes_is_the_image_that_is_rated_highest() -> None:
    logits = [[0.0, 1.0], [5.0, 0.0], [0.0, 3.0], [0.0, 2.0]]
    assert combined("binary", logits, "max").tolist() == [[0, 3], [0, 2]]


def test_max_of_each_label() -> None:
    logits = [[0.0, 1.0], [5.0, 0.0], [2.0, -3.0], [0.0, 2.0]]
    found = combined("multilabel", logits, "max")
    assert expit(found).tolist() == expit(np.array([[2.0, 1.0], [5.0, 2.0]], np.float32)).tolist()
    found = combined("multiclass", logits, "max")
    best = softmax(np.array(logits), axis=1)[[0, 2]].max(axis=0)
    assert softmax(found, axis=1)[0] == pytest.approx(best / best.sum(), abs=1e-6)


def test_images_without_units_stay() -> None:
    logits = np.ones((4, 1), np.float32)
    task = Task("regression", ["y"])
    assert units.aggregate(task, logits, IMAGES[["id"]], "max", "logits") is logits
