"""Competitions of every layout: `make init`, then the real `dvc repro`."""

import ast
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import layouts
import pandas as pd
import pytest
from competitions import csv
from conftest import Project
from layouts import BUILDERS, Built

pytestmark = pytest.mark.slow  # runs whole pipelines

TINY = {
    "architecture": "test_resnet",
    "pretrained": False,
    "image_size": 32,
    "resize_mode": "squash",
    "phases": [{"epochs": 1, "lr": 0.005}],
    "batch_size": 8,
}
# Together they have every layout of docs/layouts.md (see layouts.DOCUMENTED).
COMPETITIONS: dict[str, Callable[[], Built]] = {
    "kinds of files, top lists": lambda: top_lists(layouts.kinds_of_files()),
    "several folders, one-hot": lambda: layouts.in_two_sizes(layouts.one_hot()),
    "one folder, two classes, patients": lambda: layouts.in_one_folder(layouts.two_classes(0)),
    "class folders alone": layouts.class_folders,
    "labels in file names": layouts.named_after_classes,
    "gray pixels": layouts.pixels_gray,
    "pixels in a cell": layouts.pixels_in_a_cell,
    "RGB pixels": layouts.pixels_planar,
    "lists in brackets": BUILDERS["lists_in_brackets_python"],
    "one row per label": layouts.one_row_per_label,
    "several labels, nested": lambda: layouts.nest(BUILDERS["several_labels_space"]()),
    "several columns, no sample, Training_set.csv": lambda: without_sample(
        renamed(layouts.several_columns(), "Training_set")
    ),
    "a number, labels.csv": lambda: renamed(layouts.numbers(), "labels"),
    "grades, train_labels.csv": lambda: renamed(layouts.grades(), "train_labels"),
    "paths, other columns, class indices": lambda: class_indices(layouts.paths_as_ids()),
}


ALWAYS_TESTED = {"several labels, nested"}  # the others by `make test-long`


def without_sample(built: Built) -> Built:
    """The same without a sample submission; test.csv calls its id column differently."""
    files = {n: data for n, data in built.files.items() if n != "sample_submission.csv"}
    hidden = layouts.known_and_hidden()[1]
    return replace(
        built, files={**files, "test.csv": csv(hidden[["id"]].set_axis(["image"], axis=1))}
    )


def top_lists(built: Built) -> Built:
    """The same with two labels per image in the sample submission."""
    name = "sample_submission.csv"
    sample = built.files[name].replace(b",circle", b",square circle")
    return replace(built, files={**built.files, name: sample}, metric="map@2")


def class_indices(built: Built) -> Built:
    """The same with unused columns, and a sample submission of class indices."""
    train, sample = (read(built.files[name]) for name in ("train.csv", "sample_submission.csv"))
    files = {
        "train.csv": csv(train.assign(width=80, site=["a", "b"] * (len(train) // 2))),
        "sample_submission.csv": csv(sample.assign(label=["0", "1", "2"] * (len(sample) // 3))),
    }
    return replace(built, files={**built.files, **files}, format="number")


def read(data: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(data), dtype=str)


def renamed(built: Built, name: str) -> Built:
    """The same with another name for the training table."""
    files = {(f"{name}.csv" if n == "train.csv" else n): data for n, data in built.files.items()}
    return replace(built, files=files)


def tiny(params: dict[str, Any]) -> None:
    """Replace the models by one that trains in a second, on one fold."""
    name = next(iter(params["models"]))
    kept = {key: params["models"][name].get(key) for key in ("class_weights",)}
    params["models"] = {name: {**TINY, **kept}}
    for embedding in params["embeddings"].values():
        embedding["pretrained"] = False
    params["ensemble"]["members"] = [name, *params["probes"]]
    params["folds"] |= {"count": 2, "run": [0]}
    params["predict"]["views"] = ["identity"]


@pytest.mark.parametrize(
    "layout",
    [
        name if name in ALWAYS_TESTED else pytest.param(name, marks=pytest.mark.long)
        for name in COMPETITIONS
    ],
)
def test_a_competition_goes_from_its_files_to_a_valid_submission(
    layout: str, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    built = COMPETITIONS[layout]()
    project.write_archive(built.files)
    (project.folder / "params.yaml").unlink()
    printed = project.run("python", "-m", "commands.init", "shapes.zip", "--yes", "--quick").stdout
    assert "Wrote params.yaml" in printed
    project.edit(tiny)
    ran = project.repro()
    assert {"fetch", "prepare", "submission", "report"} <= ran
    sample = pd.read_csv(project.folder / "data/sample_submission.csv", dtype=str)
    made = pd.read_csv(project.folder / "submissions/shapes.csv", dtype=str, keep_default_na=False)
    assert made.columns.tolist() == sample.columns.tolist()
    assert made.iloc[:, 0].tolist() == sample.iloc[:, 0].tolist()
    assert len(made) == layouts.TEST
    values = made.iloc[:, 1:]
    assert (values != "").all(axis=None)
    check(values, built)
    scores = json.loads(project.read("metrics/ensemble.json"))
    assert scores["metric"] == built.metric
    assert (
        built.classes[0] in project.read("reports/report.md").decode() or built.task == "regression"
    )


def check(values: pd.DataFrame, built: Built) -> None:
    """The values suit the task and the metric."""
    if built.metric in ("log_loss", "roc_auc", "rmse"):
        numbers = values.astype(float)
        assert numbers.notna().all(axis=None)
        if built.metric == "log_loss":
            assert numbers.sum(axis=1).round(6).eq(1).all()
        return
    if built.format == "number":
        assert {*values.iloc[:, 0]} <= {str(place) for place in range(len(built.classes))}
        return
    for text in values.iloc[:, 0]:
        separator = "|" if "|" in text else " "
        labels = text.split(separator) if built.metric in ("map@2", "samples_f1") else [text]
        if text.startswith("["):
            labels = ast.literal_eval(text)
        assert {*labels} - {""} <= {*built.classes}
        if built.metric == "map@2":
            assert len(set(labels)) == 2
