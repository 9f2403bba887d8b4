"""Competitions for tests of the cluster: digits, and photos that come with scikit-learn."""

from pathlib import Path
from typing import Any

import competitions
import numpy as np
import sklearn.datasets
from conftest import PARAMS, Project

# As slow as an epoch on real images, but without work, where the environment says so.
METRIC = """
import os
import time


def score(targets, labels):
    time.sleep(float(os.environ.get("TEST_SECONDS_PER_EPOCH", 0)))
    return float((targets == labels).mean())


score.inputs = "labels"
"""


def photos(train: int, test: int) -> dict[str, bytes]:
    """The files of a competition: JPEG crops of two photos, which are the classes."""
    known, hidden = competitions.tables(train, test)
    rng, files = np.random.default_rng(0), {}
    for folder, table in (("train", known), ("test", hidden)):
        table["label"] = [f"photo{row % 2}" for row in range(len(table))]
        for row in table.itertuples():
            photo = sklearn.datasets.load_sample_images().images[row.Index % 2]
            top, left = rng.integers(0, 360), rng.integers(0, 560)
            crop = photo[top : top + 60, left : left + 72]
            files[f"{folder}/{row.id}.png"] = competitions.encode(crop, "JPEG")
    return {
        **files,
        "train.csv": competitions.csv(known),
        "test.csv": competitions.csv(hidden[["id"]]),
        "sample_submission.csv": competitions.csv(hidden.assign(label="photo0")),
    }


def project(folder: Path, data: str, epochs: int) -> Project:
    """A project up to its folds: two models, three folds, and one of the models on all folds."""
    project = Project(folder)

    def change(params: dict[str, Any]) -> None:
        params["folds"] |= {"count": 3, "run": [0, 1, 2], "all": ["b"]}
        model = {**PARAMS["models"]["a"], "phases": [{"epochs": epochs, "lr": 0.005}]}
        params["models"] = {"a": model, "b": {**model, "architecture": "test_efficientnet"}}
        params["ensemble"]["members"] = ["a", "b"]
        if data == "digits":
            params["competition"] = {"source": "builtin", "slug": "shapes"}
            params["models"] = {k: {**v, "batch_size": 64} for k, v in params["models"].items()}
        else:
            params["metric"] = "custom/slow.py:score"

    project.edit(change)
    (project.folder / "custom/slow.py").write_text(METRIC)
    if data == "photos":
        project.write_archive(photos(48, 8))
    project.repro("folds")
    return project
