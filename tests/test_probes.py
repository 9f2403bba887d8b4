"""Probes in the pipeline: what reruns, what they see, and that exports need no special case."""

import json
import shutil
from pathlib import Path
from typing import Any

import kernels
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Project

from podium.core.provenance import PredictionProvenance
from podium.features import tables
from podium.prediction import predictions

NAMES = {"probe@p", "probe@q", "probe@r"}
END = {"ensemble", "submission", "report", "page"}


def add_probes(params: dict[str, Any]) -> None:
    weights = params["models"]["a"]["pretrained"]
    network = {"architecture": "test_resnet", "image_size": 24, "resize_mode": "squash"}
    params["embeddings"] = {
        "small": {**network, "pretrained": weights},
        "large": {**network, "image_size": 32, "pretrained": False},
    }
    params["probes"] = {
        "p": {"features": ["small", "large"]},
        "q": {"features": ["small"], "head": "knn"},
        "r": {"features": ["small"], "head": "lightgbm", "strength": 10},
    }
    params["ensemble"] = {"members": ["a", "p", "q", "r"], "method": "stack"}


@pytest.fixture(scope="module")
def project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with probes; don't change it."""
    project = finished_project.copy(tmp_path_factory.mktemp("probes") / "project")
    project.edit(add_probes)
    # explore compares images by the first pretrained embedding, not by a model any more.
    assert project.repro() == {"check", "explore", "embed@small", "embed@large", *NAMES, *END}
    return project


@pytest.mark.slow
@pytest.mark.long
def test_a_project_may_have_no_models(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")

    def only_probes(params: dict[str, Any]) -> None:
        params["models"], params["folds"]["all"] = {}, []
        params["ensemble"] = {"members": ["p"], "method": "mean"}

    project.edit(only_probes)
    assert project.repro() == {"check", *END}
    assert "| p " in project.read("reports/report.md").decode()


@pytest.mark.slow
def test_only_what_an_edit_affects_reruns(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    submission = project.read("submissions/shapes.csv")
    member = project.read("data/ensemble/members/q.parquet")
    assert project.repro() == set()

    project.edit(lambda params: params["probes"]["q"].update(head="ridge"))
    assert project.repro() == {"check", "probe@q", *END}
    assert project.read("data/ensemble/members/q.parquet") != member
    project.edit(lambda params: params["probes"]["q"].update(head="knn"))
    shutil.rmtree(project.folder / "data/predictions/q")  # else DVC's cache restores it
    project.repro("--force", "--single-item", "probe@q")
    project.repro("submission")
    assert project.read("submissions/shapes.csv") == submission

    project.edit(lambda params: params["ensemble"].update(method="mean"))
    assert project.repro("submission") == {"check", "ensemble", "submission"}
    features = [project.read(f"data/features/{n}/train.parquet") for n in ("small", "large")]
    project.repro("--force", "--single-item", "embed@small", "embed@large")
    again = [project.read(f"data/features/{n}/train.parquet") for n in ("small", "large")]
    assert features == again


@pytest.mark.slow
def test_a_probe_sees_no_label_of_its_fold(project: Project, tmp_path: Path) -> None:
    """With other labels in the held-out fold, its predictions are the same."""
    from podium.core import manifest

    copied = project.copy(tmp_path / "project")
    data = copied.folder / "data"
    folds = pd.read_csv(data / "folds.csv", dtype=str)
    classes = sorted(set(folds["label"]))
    held_out = folds["fold"] == "0"
    other = dict(zip(classes, classes[::-1], strict=True))
    folds.loc[held_out, "label"] = folds["label"][held_out].map(other)
    facts = json.loads((data / "folds.json").read_text())["content"]
    for name in ("folds.csv", "folds.json"):
        (data / name).unlink()
    folds.to_csv(data / "folds.csv", index=False)
    facts.pop("files")
    manifest.write(data / "folds.json", ["folds.csv"], **facts)
    for probe, head in (("p", "logistic"), ("q", "knn"), ("r", "lightgbm")):
        shutil.rmtree(data / "predictions" / probe)
        shutil.rmtree(copied.folder / "models" / probe)
        shutil.rmtree(copied.folder / "metrics" / probe)
        copied.run("python", "src/probe.py", "--probe", probe)
        for part in ("oof", "test"):
            path = f"data/predictions/{probe}/fold0/{part}.parquet"
            before, after = (
                predictions.read(where.folder / path, PredictionProvenance)
                for where in (project, copied)
            )
            assert before.ids == after.ids, head
            np.testing.assert_array_equal(before.logits, after.logits)


@pytest.mark.slow
def test_features_are_those_of_a_frozen_network(project: Project) -> None:
    folder = project.folder / "data/features"
    small, large = (tables.read(folder / name / "train.parquet") for name in ("small", "large"))
    assert small.ids == large.ids and small.views == ["identity", "hflip"]
    assert small.values.shape == (36, 2, 96) and small.values.dtype == np.float32
    assert np.abs(small.values[:, 0] - small.values[:, 1]).max() > 1e-3
    assert small.provenance.pretrained_sha256 and not large.provenance.pretrained_sha256
    record = json.loads(project.read("submissions/shapes.json"))
    assert small.provenance.pretrained_sha256 in record["pretrained"]
    assert {"embed@small", "embed@large", *NAMES} <= record["stages"].keys()


@pytest.mark.slow
def test_the_kernel_predicts_the_same_bytes(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    command = project.stage("export", "--owner", "someone", "--title", "podium-shapes")
    assert command.returncode == 0, command.stdout
    export = project.folder / "kernels/shapes"
    names = {path.name for path in (export / "dataset").iterdir()}
    assert sum(name.startswith("backbone-") for name in names) == 2  # each once
    kernels.unpack(export, tmp_path)
    competition = kernels.lay_out(tmp_path / "competition", kernels.files(9))
    expected = project.read("submissions/shapes.csv")
    project.folder.rename(tmp_path / "elsewhere")
    process = kernels.run(
        shutil.copy(tmp_path / "elsewhere/kernels/shapes/kernel/main.py", tmp_path / "script.py"),
        tmp_path / "run",
        **kernels.folders(tmp_path, competition),
    )
    assert process.returncode == 0, process.stdout
    assert (tmp_path / "run/submission.csv").read_bytes() == expected


@pytest.mark.long
@pytest.mark.slow
def test_the_winners_archive_reproduces_the_submission(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    for name in ("requirements.txt", "README.md"):
        shutil.copy(ROOT / name, project.folder)
    command = project.stage("handover", "--measure")
    assert command.returncode == 0, command.stdout
    assert "python src/embed.py --embedding small" in command.stdout
    assert "python src/probe.py --probe p" in command.stdout
