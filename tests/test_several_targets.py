"""Several targets, from a competition's files to its submission."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import kernels
import layouts
import numpy as np
import pandas as pd
import pytest
import several_targets
from competitions import csv
from conftest import Project
from ruamel.yaml import YAML
from sklearn import metrics as sk

from podium.core import csvs
from podium.core.errors import UserError
from podium.params import schema

Files = dict[str, bytes]
RECALL = "balanced_accuracy(grapheme_root=2)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def out_of_fold(files: Files, target: str) -> tuple[pd.Series, pd.Series]:
    """The labels of the training images that have one, and the predictions, by the report."""
    known = several_targets.labels(files)
    ids = known.columns[0]
    rows = csvs.read(Path("reports/oof.csv"))
    rows = rows[rows["actual"].str.startswith(f"{target} ")].set_index("id")["predicted"]
    labels = known.set_index(ids)[target]
    return labels[rows.index], rows.str.removeprefix(f"{target} ")


@pytest.mark.slow
def test_three_columns_of_classes_and_a_row_per_image_and_target() -> None:
    files = several_targets.graphemes()
    output = in_process.run_project(files, "--metric", RECALL, fine_tune=True)
    assert "a target per column: consonant_diacritic (2 classes), grapheme_root (6 cl" in output
    written = csvs.read(Path("submissions/made.csv"))
    sample = csvs.parse(files["sample_submission.csv"])
    assert written.columns.tolist() == ["row_id", "target"]
    assert written["row_id"].tolist() == sample["row_id"].tolist()
    known = several_targets.labels(files)
    names = [name for name in known if name not in ("image_id", "grapheme")]
    for name in names:
        own = written[written["row_id"].str.endswith(name)]["target"]
        assert set(own) <= set(known[name]) and len(own) == several_targets.TEST
    scores = json.loads(Path("metrics/ensemble.json").read_text())["ensemble"]
    for name in names:
        actual, predicted = out_of_fold(files, name)
        recall = sk.recall_score(actual, predicted, average="macro")
        assert scores["targets"][name]["oof"] == pytest.approx(recall)
    weights = {name: 2 if name == "grapheme_root" else 1 for name in names}
    each = [scores["targets"][name]["oof"] for name in names]
    assert scores["oof"] == pytest.approx(np.average(each, weights=[*weights.values()]))
    assert scores["targets"]["consonant_diacritic"]["oof"] > 0.8  # brightness
    report = Path("reports/report.md").read_text()
    assert "| grapheme_root       | balanced_accuracy |      2 |" in report
    page = Path("reports/report.html").read_text()
    assert "grapheme_root: Confusion matrix" in page


@pytest.mark.slow
def test_a_class_and_two_numbers_some_of_them_missing() -> None:
    files = several_targets.mixed()
    output = in_process.run_project(files, fine_tune=True)
    assert "warning: 4 of 48 rows have no label of kind" in output
    written = csvs.read(Path("submissions/made.csv"))
    assert written.columns.tolist() == ["id", "size", "kind", "light"]
    assert written["kind"].str.fullmatch(r"k\d").all()
    assert written["size"].astype(float).between(60, 200).all()
    scores = json.loads(Path("metrics/ensemble.json").read_text())["ensemble"]["targets"]
    assert {name: part["metric"] for name, part in scores.items()} == {
        "size": "r2",
        "kind": "accuracy",
        "light": "r2",
    }
    actual, predicted = out_of_fold(files, "kind")
    assert len(actual) == 44 and "not sure" not in {*actual, *predicted}
    assert scores["kind"]["oof"] == pytest.approx(sk.accuracy_score(actual, predicted))
    assert len(out_of_fold(files, "light")[0]) == 44
    assert scores["light"]["oof"] > 0.5
    folds = csvs.read(Path("data/folds.csv"))
    parts = folds["label"].str.split("|", expand=True)
    for column, classes in ((0, 3), (1, 6), (2, 2)):
        counts = pd.crosstab(folds["fold"], parts[column][parts[column] != ""])
        assert counts.shape == (2, classes) and np.ptp(counts, axis=0).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "metric"),
    [
        pytest.param(several_targets.graphemes, RECALL, marks=pytest.mark.long),
        pytest.param(several_targets.looked_up, "pooled_rmse", marks=pytest.mark.long),
        pytest.param(several_targets.mixed, "mean", marks=pytest.mark.long),
    ],
)
def test_the_kernel_writes_the_same_bytes(
    make: Callable[..., Files], metric: str, tmp_path: Path
) -> None:
    shown = 5
    project = Project(tmp_path / "project")
    project.write_archive(make(shown))
    shutil.copy(project.folder / "shapes.zip", tmp_path / "made.zip")
    in_process.init_project((tmp_path / "made.zip").read_bytes(), "--metric", metric)
    made = YAML(typ="safe").load(tmp_path / "params.yaml")

    def change(params: dict[str, Any]) -> None:
        params |= {key: made[key] for key in ("task", "metric", "prepare")}
        params["models"]["a"]["target_weights"] = {next(iter(made["prepare"]["label_column"])): 2}
        params["embeddings"] = {"small": in_process.FROZEN}
        params["probes"] = {"p": {**made["probes"]["probe"], "features": ["small"]}}
        params["ensemble"] = {"members": ["a", "p"], "method": "weighted"}

    project.edit(change)
    project.repro("submission")
    export = project.stage("export", "--owner", "someone", "--title", "podium-shapes")
    assert export.returncode == 0, export.stdout
    kernels.unpack(project.folder / "kernels/shapes", tmp_path)
    script = shutil.copy(project.folder / "kernels/shapes/kernel/main.py", tmp_path / "script.py")
    expected = project.read("submissions/shapes.csv")
    project.folder.rename(tmp_path / "elsewhere")
    for count in (shown, several_targets.TEST):
        competition = kernels.lay_out(tmp_path / f"shown{count}", make(count))
        environment = kernels.folders(tmp_path, competition)
        process = kernels.run(script, tmp_path / f"run{count}", **environment)
        assert process.returncode == 0, process.stdout
    assert (tmp_path / f"run{shown}/submission.csv").read_bytes() == expected
    more = (tmp_path / f"run{several_targets.TEST}/submission.csv").read_bytes()
    public, hidden = csvs.parse(expected), csvs.parse(more)
    ids = public.columns[0]
    pd.testing.assert_frame_equal(hidden[hidden[ids].isin(public[ids])], public)
    assert len(hidden) * shown == len(public) * several_targets.TEST


def test_what_init_infers_about_each_target(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, several_targets.mixed())
    assert found.layout.task == "multitarget" and found.layout.metric == "mean"
    assert found.guess("label_column").value == {
        "size": "regression",
        "kind": "multiclass",
        "light": "regression",
    }
    assert found.guess("no_label").value == {"kind": ["not sure"]}
    parts = found.tables.task("multitarget").parts
    assert [part.name for part in parts] == ["size", "kind", "light"]
    assert parts[1].task.classes == [f"k{n}" for n in range(6)]
    assert found.tables.train["label"][0] == "125.5||0.750"
    given = layouts.inspect(
        tmp_path,
        several_targets.mixed(),
        label_column="kind=multiclass,light=ordinal",
        no_label="none",
        metric="mean(kind=accuracy, light=2*quadratic_weighted_kappa)",
    )
    assert given.guess("label_column").value == {"kind": "multiclass", "light": "ordinal"}
    assert given.guess("no_label").value == {}


def test_numbers_with_names_for_missing_ones_stay_numbers(tmp_path: Path) -> None:
    files = several_targets.mixed()
    table = several_targets.labels(files)
    table.loc[[9, 10], "size"] = ["NaN", " n/a"]
    found = layouts.inspect(tmp_path, {**files, "train.csv": csv(table)}, unlabeled="error")
    assert found.guess("label_column").value["size"] == "regression"
    assert found.guess("no_label").value == {"size": ["NaN", "n/a"], "kind": ["not sure"]}
    assert found.tables.train["label"][[9, 10]].str.startswith("|").all()
    table = table.drop(columns=["kind", "light"])
    (tmp_path / "single").mkdir()
    found = layouts.inspect(
        tmp_path / "single",
        {**files, "train.csv": csv(table), "sample_submission.csv": csv(table[["id", "size"]][:4])},
        unlabeled="drop",
    )
    assert (found.layout.task, found.layout.prepare["no_label"]) == (
        "regression",
        {"size": ["NaN", "n/a"]},
    )
    assert len(found.tables.train) == len(table) - 2


def test_columns_of_integers_that_recur_are_classes_and_others_numbers(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, several_targets.graphemes())
    assert (found.guess("task").value, found.guess("task").confidence) == ("multitarget", "guess")
    as_numbers = layouts.inspect(tmp_path, several_targets.graphemes(), task="regression")
    assert as_numbers.prepare["label_column"] == [
        "consonant_diacritic",
        "grapheme_root",
        "vowel_diacritic",
    ]


def params(**changes: Any) -> dict[str, Any]:
    """Valid params of a competition with two targets; `changes` are sections or top-level keys."""
    from conftest import PARAMS

    values: dict[str, Any] = json.loads(json.dumps(PARAMS))
    values |= {"task": "multitarget", "metric": "mean"}
    values["prepare"] = {"label_column": {"kind": "multiclass", "size": "regression"}}
    for key, value in changes.items():
        if isinstance(value, dict):
            section = values["models"]["a"] if key == "model" else values[key]
            section |= value
        else:
            values[key] = value
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "accuracy"}, "target size: accuracy is not supported for task: regression"),
        ({"metric": "mean(kind=accuracy, size=rmse)"}, "accuracy and rmse cannot be averaged"),
        ({"metric": "mean(kind=accuracy)"}, "there is no metric for size"),
        ({"metric": "mean(kind=accuracy, siez=r2)"}, "siez is not a target"),
        ({"metric": "custom/mine.py:score"}, "is not a metric of several targets"),
        ({"task": "multiclass", "metric": None}, "a task per column requires task: multitarget"),
        ({"prepare": {"label_column": ["kind", "size"]}}, "requires the task of each column"),
        ({"prepare": {"raters": "majority"}}, "majority does not support task: multitarget"),
        ({"prepare": {"no_label": {"knd": ["?"]}}}, "knd.*not in label_column"),
        ({"prepare": {"positive_class": "a"}}, "requires task: binary"),
        ({"prepare": {"new_class": "new"}}, "requires task: multiclass"),
        ({"folds": {"subsample": {"a": 0.5}}}, "requires a single-label task"),
        ({"model": {"loss": "focal"}}, "focal does not support the target size"),
        ({"model": {"loss": {"kind": "arcface"}}}, "arcface does not support the target kind"),
        ({"model": {"loss": {"knd": "focal"}}}, "knd is not a target"),
        ({"model": {"focal_gamma": 1.0}}, "focal_gamma.*not used by the loss of any target"),
        ({"model": {"target_weights": {"knd": 1.0}}}, "knd is not a target"),
        ({"model": {"class_weights": "balanced"}}, "requires a single-label task"),
        ({"model": {"sampling": "balanced"}}, "balanced requires a single-label task"),
        ({"model": {"pseudo_labels": {"folder": "x"}}}, "pseudo_labels.*does not support task: mu"),
        (
            {"model": {"phases": [{"epochs": 1, "lr": 0.1, "init_from": "probe"}]}},
            "init_from: probe does not support task: multitarget",
        ),
        ({"predict": {"neighbors": {"count": 5, "weight": 0.5}}}, "requires a single-label task"),
        ({"ensemble": {"method": "stack"}}, "stack does not support several targets"),
        ({"ensemble": {"method": "rank"}}, "rank does not support several targets"),
        ({"ensemble": {"aggregate": "max"}}, "max does not support several targets"),
        ({"ensemble": {"temperature": "fitted"}}, "fitted does not support several targets"),
        ({"submission": {"format": "label"}}, "label cannot be that of all targets"),
        ({"submission": {"format": {"kind": "value"}}}, "value does not support the target kind"),
        ({"submission": {"clip": [0.0, 1.0]}}, "requires task: regression"),
        (
            {
                "embeddings": {"e": in_process.FROZEN},
                "probes": {"p": {"features": ["e"], "head": "logistic"}},
            },
            "logistic does not support target size, task: regression",
        ),
    ],
)
def test_what_several_targets_do_not_support_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    schema.validate(params())
    with pytest.raises(UserError, match=f"(?s){message}"):
        schema.validate(params(**changes))


def test_settings_of_targets_require_several() -> None:
    for changes in (
        {"model": {"loss": {"a": "focal"}}},
        {"model": {"target_weights": {"a": 1.0}}},
        {"submission": {"format": {"a": "label"}}},
    ):
        values = params(task="multiclass", metric="accuracy", **changes)
        values["prepare"] = {}
        with pytest.raises(UserError, match="requires task: multitarget"):
            schema.validate(values)
