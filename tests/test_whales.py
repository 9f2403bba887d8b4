"""A competition like those of whales: ArcFace, votes of the nearest training images, and a label of
images of none of the classes, from the files to the kernel.
"""

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
from podium.prediction import knn, predictions


def whales(params: dict[str, Any]) -> None:
    params["metric"] = "map@2"
    params["prepare"] = {"new_class": "stripes"}
    params["models"]["a"].update(loss="arcface", embedding_size=16)
    params["embeddings"] = {
        "e": {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
    }
    params["probes"] = {"p": {"features": ["e"], "head": "ridge", "strength": 1.0}}
    params["predict"]["neighbors"] = {"count": 3}
    params["folds"]["all"] = ["a"]
    params["ensemble"] = {"members": ["a", "p"], "method": "mean"}


@pytest.mark.slow
@pytest.mark.long
def test_models_do_not_learn_the_new_class_and_the_kernel_repeats_the_submission(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit(whales)
    project.repro("submission", "report")
    folder = project.folder
    folds = pd.read_csv(folder / "data/folds.csv", dtype=str)
    for model in ("a", "p"):
        for fold in ("0", "1"):
            path = folder / f"data/predictions/{model}/fold{fold}"
            _, training, _ = weights.read(folder / f"models/{model}/fold{fold}/weights.safetensors")
            assert training.classes == ["circle", "square"]
            oof = predictions.read(path / "oof.parquet", PredictionProvenance)
            assert {*oof.ids} == {*folds["id"][folds["fold"] == fold]}  # also the new ones
            if model == "a":
                voters = folds[(folds["fold"] != fold) & (folds["label"] != "stripes")]
                targets = (voters["label"] == "square").astype(int)
                assert knn.read(path / "neighbors.safetensors").targets.tolist() == [*targets]
    everyone = knn.read(folder / "data/predictions/a/all/neighbors.safetensors")
    assert len(everyone.targets) == (folds["label"] != "stripes").sum()
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
