"""Images with the labels of several raters, and submitted numbers within a range."""

import json
from pathlib import Path
from typing import Any

import in_process
import layouts
import numpy as np
import pytest
import test_small_competitions as small
from test_small_competitions import Files, N, plain, submission, table, with_sample

from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core import csvs, paths
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.dataset import raters
from podium.scoring.task import Task
from podium.submission import write

folder = small.folder


def rated(label: str = "label", sample: str = "x") -> Files:
    """Three raters per image, of whom one disagrees about every fourth image."""
    names = "xyz"
    rows = [
        f"a{n},{names[(n + (rater == 2 and n % 4 == 0)) % 3]},r{rater}"
        for n in N
        for rater in range(3)
    ]
    return {
        **with_sample(plain(), f"id,{label}", sample),
        "train.csv": table("id,label,rater", rows),
    }


def test_raters_who_disagree_give_the_label_of_the_majority(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, rated())
    guess = found.guess("raters")
    assert (guess.value, guess.confidence) == ("majority", "guess")
    assert {"soft", "first"} <= {*guess.alternatives}
    assert found.layout.task == "multiclass"
    assert found.tables.train["label"].tolist() == ["xyz"[n % 3] for n in N]


@pytest.mark.parametrize(("value", "task"), [("1.5", "regression"), ("3", "multiclass")])
def test_raters_of_numbers_give_their_mean(tmp_path: Path, value: str, task: str) -> None:
    step = 0.5 if task == "regression" else 1
    rows = [f"a{n},{n % 5 + step * rater * (n % 2):g}" for n in N for rater in range(3)]
    files = {**with_sample(plain(), "id,beauty", value), "train.csv": table("id,beauty", rows)}
    found = layouts.inspect(tmp_path, files)
    assert found.layout.task == task
    if task == "regression":
        assert found.guess("raters").value == "mean"
        expected = [n % 5 + 0.5 * (n % 2) for n in N]
        assert found.tables.train["label"].astype(float).tolist() == expected
    else:
        assert found.guess("raters").value == "majority"


def test_a_row_per_label_is_not_taken_for_raters(tmp_path: Path) -> None:
    pairs = [f"a{n},{label}" for n in N for label in ("x", "yz"[n % 2])]
    files = {**with_sample(plain(), "id,label", "x y"), "train.csv": table("id,label", pairs)}
    found = layouts.inspect(tmp_path, files)
    assert found.layout.task == "multilabel" and "raters" not in found.layout.prepare


def test_a_few_rows_that_disagree_are_an_error_that_names_the_param(tmp_path: Path) -> None:
    files = with_sample(plain())
    files["train.csv"] += b"a0,y\n"
    found = layouts.inspect(tmp_path, files)
    with pytest.raises(UserError, match=r"1 id has rows with different labels.*prepare\.raters"):
        _ = found.tables


@pytest.mark.parametrize(
    ("how", "task", "texts", "expected"),
    [
        ("first", "multiclass", ["b", "a", "a"], "b"),
        ("majority", "multiclass", ["b", "a", "a"], "a"),
        ("majority", "multiclass", ["b", "a"], "b"),
        ("soft", "binary", ["b", "a", "a"], "a"),
        ("majority", "multilabel", ["a|b", "b", ""], "b"),
        ("majority", "multilabel", ["b|c", "a|b", "a", "a"], "a|b"),
        ("median", "ordinal", ["3", "1", "4", "1"], "1"),
        ("median", "regression", ["3", "1", "4.5"], "3.0"),
        ("mean", "regression", ["3|1", "1|2"], "2.0|1.5"),
    ],
)
def test_one_label_of_several(how: str, task: TaskName, texts: list[str], expected: str) -> None:
    join = raters.join(how, task, ["a", "b", "c"])
    assert join is not None and join(texts) == expected


@pytest.mark.parametrize(
    ("how", "task"),
    [("mean", "multiclass"), ("median", "binary"), ("mean", "ordinal"), ("soft", "regression")],
)
def test_labels_without_a_mean_are_an_error(how: str, task: TaskName) -> None:
    with pytest.raises(UserError, match="raters"):
        raters.join(how, task, ["a", "b"])
    assert raters.join("error", task, ["a", "b"]) is None


def test_soft_targets_are_the_shares_of_the_raters() -> None:
    task = Task("multiclass", ["a", "b", "c"])
    targets = task.soft_targets([json.dumps({"c": 0.75, "a": 0.25}), json.dumps({"b": 1})])
    assert targets.tolist() == [[0.25, 0, 0.75], [0, 1, 0]]
    fewer = task._replace(classes=["a", "b"]).soft_targets([json.dumps({"c": 0.75, "a": 0.25})])
    assert fewer.tolist() == [[1, 0]]
    many = Task("multilabel", ["a", "b"]).soft_targets([json.dumps({"a": 0.5}), "{}"])
    assert many.tolist() == [[0.5, 0], [0, 0]]


@pytest.mark.slow
def test_models_train_on_soft_labels() -> None:
    def change(params: dict[str, Any], how: str) -> None:
        params["prepare"]["raters"] = how

    weights = []
    for how in ("majority", "soft"):
        in_process.run_project(rated(), fine_tune=True)
        in_process.edit_params(lambda params, how=how: change(params, how))
        in_process.run_stages()
        folds = csvs.read(paths.DATA / "folds.csv")
        assert folds["label"].nunique() == 3 and ("shares" in folds) == (how == "soft")
        weights.append(Path("models/tiny/fold0/weights.safetensors").read_bytes())
    assert json.loads(folds.set_index("id").loc["a4", "shares"]) == {"y": 0.666667, "z": 0.333333}
    assert weights[0] != weights[1]
    assert {*submission()["label"]} <= {*"xyz"}


def numbers() -> Files:
    rows = [f"a{n},{10 + n}" for n in N]
    files = with_sample(plain(), "id,score", "15.5")
    return {**files, "train.csv": table("id,score", rows)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "expected"), [("auto-range", (10, 33)), ([20, 20.5], (20, 20.5))]
)
def test_submitted_numbers_are_clipped(limits: Any, expected: tuple[float, float]) -> None:
    in_process.run_project(numbers())
    free = submission()["score"].astype(float)
    in_process.edit_params(lambda params: params["submission"].update(clip=limits))
    in_process.run_stages("submission", "report", "page")
    clipped = submission()["score"].astype(float)
    assert clipped.tolist() == pytest.approx(free.clip(*expected).tolist())
    ranges = write.value_range(Submission(clip=limits), Manifest(paths.PREPARED))
    assert ranges is not None and np.allclose(ranges, [expected])
    if limits != "auto-range":
        assert clipped.tolist() != free.tolist()
