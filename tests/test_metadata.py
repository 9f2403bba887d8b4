"""Metadata in the pipeline: what reruns, and exports."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import competitions
import kernels
import numpy as np
import pandas as pd
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
        params["models"]["b"]["phases"] = [{"epochs": 1, "lr": 0.01}]
        params["folds"]["all"] = ["a"]
        params["ensemble"] = {"members": ["a", "b", "columns", "both"]}
        params["ensemble"] |= {"method": "stack", "stack_metadata": True}

    project.edit(change)
    project.repro()
    return project


@pytest.mark.long
@pytest.mark.slow
def test_only_what_uses_metadata_reruns(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
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
    command = project.stage("export", "--owner", "someone", "--title", "podium-shapes")
    assert command.returncode == 0, command.stdout
    export = project.folder / "kernels/shapes"
    spec = json.loads((export / "dataset/podium.json").read_text())["content"]
    assert spec["prepare"]["features"] == [{"age": "numeric"}, {"site": "categorical"}]
    kernels.unpack(export, tmp_path)
    script = shutil.copy(export / "kernel/main.py", tmp_path / "script.py")
    expected = project.read("submissions/shapes.csv")
    project.folder.rename(tmp_path / "elsewhere")
    shown = {9: tmp_path / "public", kernels.HIDDEN: tmp_path / "hidden"}
    for count, folder in shown.items():
        competition = kernels.lay_out(folder, competitions.with_metadata(kernels.files(count)))
        process = kernels.run(
            script, tmp_path / f"run{count}", **kernels.folders(tmp_path, competition)
        )
        assert process.returncode == 0, process.stdout
    assert (tmp_path / "run9/submission.csv").read_bytes() == expected
    hidden = pd.read_csv(tmp_path / f"run{kernels.HIDDEN}/submission.csv", dtype=str)
    public = pd.read_csv(io.BytesIO(expected), dtype=str)
    assert len(hidden) == kernels.HIDDEN
    pd.testing.assert_frame_equal(hidden.set_index("id").loc[public["id"]].reset_index(), public)
    assert np.unique(hidden.iloc[:, 1]).size > 9
