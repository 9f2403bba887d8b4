"""`make pseudo` in the pipeline: what it writes, what reruns, and that nothing leaks."""

import json
import re
import shutil
import zipfile
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, Project
from ruamel.yaml import YAML

from podium.core.provenance import PredictionProvenance, PseudoProvenance
from podium.prediction import predictions

pytestmark = pytest.mark.slow


def test_pseudo_labels_from_make_pseudo_to_the_submission(
    finished_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = finished_project.copy(tmp_path_factory.mktemp("pseudo") / "project")
    printed = project.stage("pseudo")
    assert printed.returncode == 0, printed.stdout
    setting = re.search(r"pseudo_labels: \{folder: (data/pseudo/\w{12}), min", printed.stdout)
    assert setting is not None, printed.stdout
    folder = setting[1]
    assert (project.folder / f"{folder}.dvc").is_file()
    assert not project.run("git", "check-ignore", f"{folder}.dvc", check=False).stdout
    assert project.stage("pseudo").stdout == printed.stdout

    members = json.loads(project.read("metrics/ensemble.json"))["members"]
    for fold in (0, 1):
        table = predictions.read(project.folder / folder / f"fold{fold}.parquet", PseudoProvenance)
        assert {*table.provenance.members} == {*members}
        for name, made in table.provenance.members.items():
            path = project.folder / f"data/predictions/{name}/fold{fold}/test.parquet"
            assert predictions.read(path, PredictionProvenance).provenance == made
            assert made.training.fold == fold

    def add_model(params: dict[str, Any]) -> None:
        labels = {"folder": "data/pseudo/older", "min_probability": 0.5}
        params["models"]["student"] = params["models"]["a"] | {"pseudo_labels": labels}

    project.edit(add_model)
    assert "pseudo_labels in params.yaml" in project.stage("pseudo", "student").stdout
    written = YAML(typ="safe").load(project.folder / "params.yaml")["models"]
    assert written["student"]["pseudo_labels"] == {"folder": folder, "min_probability": 0.5}
    assert "pseudo_labels" not in written["a"]
    project.edit(lambda params: params["ensemble"]["members"].append("student"))
    student = {f"{stage}@student-{fold}" for stage in ("train", "predict") for fold in (0, 1)}
    assert project.repro() == {"check", *student, "ensemble", "submission", "report", "page"}
    curves = pd.read_csv(project.folder / "models/student/fold0/curves.csv")
    assert curves["train_loss"].notna().all()
    assert project.repro() == set()

    shutil.copy(ROOT / "requirements.txt", project.folder)
    packed = project.stage("handover")
    assert packed.returncode == 0, packed.stdout
    (archive,) = (project.folder / "handover").glob("*.zip")
    assert {f"{folder}/fold0.parquet", f"{folder}/fold1.parquet"} <= {
        *zipfile.ZipFile(archive).namelist()
    }

    (project.folder / folder / "fold1.parquet").unlink()
    failed = project.stage("train", "--model", "student", "--fold", "0")
    assert failed.returncode == 1 and "has changed since `make pseudo`" in failed.stdout
