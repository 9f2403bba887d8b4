"""A class that marks images of none of the others, from the files to the kernel."""

import json
from pathlib import Path
from typing import Any

import competitions
import pandas as pd
import pytest
from conftest import Project

from podium.core.provenance import EnsembleProvenance, PredictionProvenance
from podium.kaggle.kernel import main as kernel
from podium.models import weights
from podium.prediction import predictions


def whales(params: dict[str, Any]) -> None:
    params["metric"] = "map@2"
    params["prepare"] = {"new_class": "stripes"}
    params["embeddings"] = {
        "e": {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
    }
    params["probes"] = {"p": {"features": ["e"], "head": "ridge", "strength": 1.0}}
    params["ensemble"] = {"members": ["a", "p"], "method": "mean"}


@pytest.mark.slow
def test_models_do_not_learn_it_and_the_submission_lists_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit(whales)
    project.repro()
    folder = project.folder
    train = pd.read_csv(folder / "data/train.csv", dtype=str)
    for model in ("a", "p"):
        _, training, _ = weights.read(folder / f"models/{model}/fold0/weights.safetensors")
        assert training.classes == ["circle", "square"]
        oof = [
            predictions.read(
                folder / f"data/predictions/{model}/fold{fold}/oof.parquet", PredictionProvenance
            )
            for fold in (0, 1)
        ]
        assert {image for part in oof for image in part.ids} == {*train["id"]}
    combined = predictions.read(folder / "data/ensemble/oof.parquet", EnsembleProvenance)
    assert combined.provenance.classes == ["circle", "square", "stripes"]
    scores = json.loads(project.read("metrics/ensemble.json"))["ensemble"]
    assert 0 < scores["new_class_threshold"] < 1
    assert 0 < scores["oof"] <= 1
    made = pd.read_csv(folder / "submissions/shapes.csv", dtype=str)["label"]
    assert all(len({*cell.split()}) == 2 for cell in made)
    assert made.str.contains("stripes").any()
    report = project.read("reports/report.md").decode()
    assert "stripes: images whose best class has a probability below" in report

    exported = project.stage("export", "--owner", "someone", "--title", "podium-shapes")
    assert exported.returncode == 0, exported.stdout
    for name, data in competitions.competition().items():
        if not name.startswith("train"):
            (tmp_path / "kaggle" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "kaggle" / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    kernel.main(folder / "kernels/shapes/dataset", tmp_path / "kaggle", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == project.read("submissions/shapes.csv")
