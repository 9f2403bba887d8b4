"""Several images per id in one network (`image_pool`): the pipeline, what reruns, and exports."""

import io
import re
import shutil
from pathlib import Path
from typing import Any

import competitions
import in_process
import kernels
import numpy as np
import pandas as pd
import pytest
import several_targets
from conftest import Project

from podium.core import csvs
from podium.core.provenance import PredictionProvenance
from podium.prediction import predictions

END = {"ensemble", "submission", "report", "page"}
OF_A = {"train@a-0", "predict@a-0"}


def several(files: dict[str, bytes]) -> dict[str, bytes]:
    """The competition with one to three images per id: all but one are noise."""
    result = dict[str, bytes]()
    for name, content in files.items():
        found = re.fullmatch(r"(.+/\D*)(\d+)\.png", name)
        if found is None:
            result[name] = content
            continue
        number = int(found[2])
        rng = np.random.default_rng(number)
        count = 1 + number % 3
        for place in range(count):
            noise = competitions.encode(rng.integers(0, 256, (40, 48, 3)).astype(np.uint8))
            result[f"{found[1]}{found[2]}_{place}.png"] = content if place == count // 2 else noise
    return result


def check_predictions(path: str, tables: list[str]) -> None:
    """Check that all images of an id have the same logits, and different ids do not."""
    table = predictions.read(Path(path), PredictionProvenance)
    units = pd.concat(map(csvs.read, map(Path, tables))).set_index("id")["unit"].loc[table.ids]
    groups = pd.DataFrame(table.logits).groupby(units.to_numpy())
    assert (groups.nunique() == 1).all(axis=None) and groups.size().max() > 1
    assert len(groups.first().drop_duplicates()) == len(groups)


def run(contents: dict[str, bytes], *options: str, **model: Any) -> dict[str, Any]:
    """Run the pipeline with a tiny model that pools the images of an id; its params.yaml."""
    archive = competitions.write_zip(Path("contents.zip"), contents).read_bytes()
    in_process.init_project(archive, *options)

    def change(params: dict[str, Any]) -> None:
        params["models"] = {"tiny": {**in_process.TINY, "image_pool": "attention", **model}}
        params |= {"embeddings": {}, "probes": {}}
        params["folds"] |= {"count": 2, "run": [0, 1]}
        params["ensemble"] |= {"members": ["tiny"], "method": "mean"}

    params = in_process.edit_params(change)
    in_process.run_stages()
    check_predictions("data/predictions/tiny/fold0/test.parquet", ["data/test.csv"])
    check_predictions("data/predictions/tiny/fold1/oof.parquet", ["data/folds.csv"])
    return params


@pytest.mark.slow
def test_several_targets_and_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = competitions.with_metadata(several(several_targets.mixed()))
    params = run(contents, "--features", "auto", metadata={"hidden_size": 4})
    assert params["task"] == "multitarget" and "{id}" in params["prepare"]["images"]
    submission = csvs.read(next(Path("submissions").glob("*.csv")))
    assert len(submission) == several_targets.TEST


@pytest.mark.slow
def test_images_of_a_unit_that_are_not_adjacent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row n of the tables is an image of patient n mod 18."""
    monkeypatch.chdir(tmp_path)
    contents = kernels.files(9)
    for name in ("train", "test"):
        table = pd.read_csv(io.BytesIO(contents[f"{name}.csv"]), dtype=str)
        patients = [f"{name}{n}" for n in range(len(table) // (2 if name == "train" else 3))]
        table["patient"] = np.resize(patients, len(table))
        contents[f"{name}.csv"] = competitions.csv(table)
    sample = pd.DataFrame({"patient": patients, "label": 0.5})
    contents["sample_submission.csv"] = competitions.csv(sample)
    params = run(contents)
    assert params["prepare"]["submission_id_column"] == "patient"
    submission = csvs.read(next(Path("submissions").glob("*.csv")))
    assert submission["patient"].tolist() == patients


@pytest.fixture(scope="module")
def project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project with two models, of which one pools the images of an id; don't change
    it.
    """
    project = finished_project.copy(tmp_path_factory.mktemp("several") / "project")
    project.write_archive(several(kernels.files(9)))
    shutil.rmtree(project.folder / "data/raw")

    def change(params: dict[str, Any]) -> None:
        params["prepare"]["images"] = "{id}_*"
        params["models"]["a"] |= {
            "image_pool": "attention",
            "phases": [{"epochs": 3, "lr": 0.01}],
        }
        params["models"]["b"]["phases"] = [{"epochs": 1, "lr": 0.01}]
        params["predict"]["batch_size"] = 4
        params["folds"]["run"] = [0]

    project.edit(change)
    project.repro("submission")
    return project


@pytest.mark.slow
@pytest.mark.long
def test_the_kernel_predicts_the_same_bytes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project.copy(tmp_path / "project")
    with monkeypatch.context() as inside:
        inside.chdir(project.folder)
        for part in ("fold0/test", "all/test"):
            check_predictions(f"data/predictions/a/{part}.parquet", ["data/test.csv"])
    kernels.check_kernel(project, tmp_path, lambda count: several(kernels.files(count)))


@pytest.mark.long
@pytest.mark.slow
def test_an_edit_reruns_that_model_only(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    project.repro()
    assert project.repro() == set()
    project.edit(lambda params: params["models"]["a"].update(image_pool="mean"))
    assert project.repro() == {"check", *OF_A, "train_all@a", "predict_all@a", *END}
