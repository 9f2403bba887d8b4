"""Metadata in the pipeline: what reruns, and exports."""

import json
import shutil
from pathlib import Path
from typing import Any

import competitions
import kernels
import numpy as np
import pytest
from conftest import Project

END = {"ensemble", "submission", "report", "page"}
OF_A = {f"{stage}@a-{fold}" for stage in ("train", "predict") for fold in (0, 1)}


@pytest.fixture(scope="module")
def project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project with metadata in a model and two probes; don't change it."""
    project = finished_project.copy(tmp_path_factory.mktemp("metadata") / "project")
    project.write_archive(competitions.with_metadata(kernels.files(9)))
    shutil.rmtree(project.folder / "data/raw")

    def change(params: dict[str, Any]) -> None:
        params["prepare"]["features"] = "auto"
        network = {"architecture": "test_resnet", "image_size": 24, "pretrained": False}
        params["embeddings"] = {"small": network}
        params["probes"] = {
            "columns": {"features": ["metadata"], "head": "lightgbm", "strength": 10},
            "both": {"features": ["small", "metadata"]},
        }
        params["models"]["a"] |= {
            "metadata": {"hidden_size": 8},
            "phases": [{"epochs": 2, "lr": 0.01}],
        }
        del params["models"]["b"]
        params["folds"]["all"] = ["a"]
        params["ensemble"] = {"members": ["a", "columns", "both"]}
        params["ensemble"] |= {"method": "stack", "stack_metadata": True}

    project.edit(change)
    project.repro("submission")
    return project


@pytest.mark.long
@pytest.mark.slow
def test_only_what_uses_metadata_reruns(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    project.repro()
    assert project.repro() == set()
    project.edit(lambda params: params["models"]["a"]["metadata"].update(dropout=0.5))
    assert project.repro() == {"check", *OF_A, "train_all@a", "predict_all@a", *END}
    project.edit(lambda params: params["probes"]["both"].update(features=["small"]))
    assert project.repro() == {"check", "probe@both", *END}
    project.edit(lambda params: params["ensemble"].update(stack_metadata=False))
    assert project.repro() == {"check", *END}


@pytest.mark.slow
def test_the_kernel_predicts_the_same_bytes(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    hidden = kernels.check_kernel(
        project, tmp_path, lambda count: competitions.with_metadata(kernels.files(count))
    )
    exported = tmp_path / "elsewhere/kernels/shapes/dataset/podium.json"
    features = json.loads(exported.read_text())["content"]["prepare"]["features"]
    assert features == [{"age": "numeric"}, {"site": "categorical"}]
    assert np.unique(hidden.iloc[:, 1]).size > 9
