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

from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core import csvs, paths
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.dataset import raters, tables
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


def of_patients(votes: dict[str, str], *, fill: str = "xyz") -> Files:
    """24 images of 12 patients, with a row per vote of `votes`, or one row."""
    files = rated()
    given = {f"a{n}": votes.get(f"a{n}", fill[n // 2 % 3]) for n in N}
    rows = [f"a{n},p{n // 2},{vote}" for n in N for vote in given[f"a{n}"]]
    files["train.csv"] = table("id,patient,label", rows)
    files["test.csv"] = table("id,patient", [f"b{n},q{n // 2}" for n in small.T])
    files["sample_submission.csv"] = table("patient,label", [f"q{n},x" for n in range(3)])
    return files


@pytest.mark.parametrize("how", ["majority", "soft", "first"])
def test_all_images_of_a_unit_have_the_votes_of_all(tmp_path: Path, how: str) -> None:
    """The majority of the first patient's votes is not that of the first image's."""
    files = of_patients({"a0": "xxy", "a1": "yyyy"})
    found = layouts.inspect(tmp_path, files)
    layout = Prepare(**found.layout.prepare | {"raters": how})
    train = tables.read(found.archive, layout, "multiclass").train.set_index("id")
    assert train["unit"]["a1"] == "p0"
    expected = "x" if how == "first" else "y"
    assert train["label"].loc[["a0", "a1", "a2", "a3"]].tolist() == [expected, expected, "y", "y"]
    if how == "soft":
        shares = [json.loads(text) for text in train["shares"].loc[["a0", "a1", "a2"]]]
        assert shares == [{"x": 0.285714, "y": 0.714286}] * 2 + [{"y": 1}]


def test_the_mean_of_a_units_numbers_is_the_same_for_all_its_images(tmp_path: Path) -> None:
    files = of_patients({})
    rows = [f"a{n},p{n // 2},{0.1 + n % 2 / 3 + n / 7}" for n in N for _ in range(1 + n % 5)]
    files["train.csv"] = table("id,patient,label", rows)
    files["sample_submission.csv"] = table("patient,label", [f"q{n},0.5" for n in range(3)])
    found = layouts.inspect(tmp_path, files)
    layout = Prepare(**found.layout.prepare | {"raters": "mean"})
    train = tables.read(found.archive, layout, "regression").train
    values = train.groupby("unit")["label"].agg(["nunique", "first"])
    assert (values["nunique"] == 1).all()
    expected = np.average([0.1, 0.1 + 1 / 3 + 1 / 7], weights=[1, 2])
    assert float(values["first"]["p0"]) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.long
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
