"""The real DVC on a small competition: what an edit reruns, and what a submission depends on."""

import copy
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest
from conftest import PARAMS, Project
from ruamel.yaml import YAML

from podium.core.provenance import EnsembleProvenance
from podium.params import schema
from podium.prediction import predictions

pytestmark = pytest.mark.slow

END = {"ensemble", "submission", "report"}
A = {"train@a-0", "train@a-1", "predict@a-0", "predict@a-1"}
B = {"train@b-0", "train@b-1", "predict@b-0", "predict@b-1"}
PREDICT = {name for name in A | B if name.startswith("predict")}
ALL = {"fetch", "prepare", "folds"} | A | B | END


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two models that ran to its submission."""
    project = Project(tmp_path_factory.mktemp("project"))

    def two_models(params: dict[str, Any]) -> None:
        params["models"]["b"] = copy.deepcopy(params["models"]["a"]) | {"batch_size": 12}
        params["ensemble"]["members"] = ["a", "b"]

    project.edit(two_models)
    assert project.repro() == ALL
    project.run("git", "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    project.run("git", *identity, "commit", "--quiet", "--message", "done")
    return project


@pytest.fixture
def project(done: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, with its cache."""
    return done.copy(tmp_path / "project")


def downstream(project: Project, change: Callable[[dict[str, Any]], Any]) -> set[str]:
    """The stages that run after an edit of params.yaml; the last two, which need not when what
    they read comes out as it was, are always counted among them.
    """
    project.edit(change)
    return project.repro() | {"submission", "report"}


def test_nothing_edited_runs_nothing(project: Project) -> None:
    assert project.repro() == set()


def test_editing_one_models_rate_reruns_only_that_model(project: Project) -> None:
    def change(params: dict[str, Any]) -> None:
        params["models"]["b"]["phases"][0]["lr"] = 0.003

    assert downstream(project, change) == B | END


def test_editing_the_views_trains_nothing(project: Project) -> None:
    assert downstream(project, lambda p: p["predict"].update(views=["identity"])) == PREDICT | END


def test_editing_the_ensemble_predicts_nothing(project: Project) -> None:
    assert downstream(project, lambda p: p["ensemble"].update(method="weighted")) == END


def test_leaving_a_model_out_of_the_ensemble_predicts_nothing(project: Project) -> None:
    assert downstream(project, lambda p: p["ensemble"].update(members=["b"])) == END
    scores = json.loads(project.read("metrics/ensemble.json"))
    assert list(scores["members"]) == ["b"]


FIRST = {f"{stage}@{model}-0" for stage in ("train", "predict") for model in "ab"}


def test_editing_the_number_of_folds_reruns_all_that_knows_folds(project: Project) -> None:
    ran = downstream(project, lambda p: p["folds"].update(count=3, run=[0]))
    assert ran == {"folds"} | FIRST | END


def test_editing_the_seed_reruns_all_but_the_data(project: Project) -> None:
    def change(params: dict[str, Any]) -> None:
        params["seed"] = 2
        params["folds"]["run"] = [0]  # by itself that trains nothing: the next test

    assert downstream(project, change) == {"folds"} | FIRST | END


def test_training_fewer_folds_trains_nothing_anew(project: Project) -> None:
    assert downstream(project, lambda p: p["folds"].update(run=[1])) == END
    oof = pd.read_parquet(project.folder / "data/ensemble/oof.parquet")
    folds = pd.read_csv(project.folder / "data/folds.csv", dtype={"id": str})
    assert set(oof["id"]) == set(folds.loc[folds["fold"] == 1, "id"])


def test_editing_code_that_only_the_ensemble_imports_reruns_it_alone(project: Project) -> None:
    code = project.folder / "src/podium/blending.py"
    code.write_text(code.read_text() + "# a remark\n")
    assert project.repro() == {"ensemble"}  # its outputs are the same, so nothing follows


def test_a_model_that_was_removed_has_no_part_in_the_submission(project: Project) -> None:
    def change(params: dict[str, Any]) -> None:
        del params["models"]["a"]
        params["ensemble"]["members"] = ["b"]

    assert downstream(project, change) == END
    assert (project.folder / "data/predictions/a").exists()
    assert list(json.loads(project.read("metrics/ensemble.json"))["members"]) == ["b"]


@pytest.mark.thorough
def test_running_all_anew_without_decoded_images_gives_the_same_submission(
    project: Project,
) -> None:
    before = project.read("submissions/shapes.csv")
    assert project.repro("--force", PODIUM_CACHE_MIB="0") == ALL
    assert project.read("submissions/shapes.csv") == before


@pytest.mark.thorough
def test_every_stage_gives_the_same_bytes_with_any_number_of_workers(project: Project) -> None:
    made = {
        ("prepare",): "data/images/train/00000.arrow",
        ("train", "--model", "a", "--fold", "0"): "models/a/fold0/weights.safetensors",
        ("predict", "--model", "a", "--fold", "0"): "data/predictions/a/fold0/oof.parquet",
    }
    for stage, name in made.items():
        before = project.read(name)
        for workers in ("0", "1", "2"):
            (project.folder / name).unlink()
            done = project.stage(*stage, PODIUM_WORKERS=workers)
            assert done.returncode == 0, done.stdout
            assert project.read(name) == before, (stage, workers)


def test_the_submission_has_the_form_of_the_sample(project: Project) -> None:
    sample = pd.read_csv(project.folder / "data/sample_submission.csv", dtype=str)
    made = pd.read_csv(project.folder / "submissions/shapes.csv", dtype=str)
    assert list(made.columns) == list(sample.columns) == ["id", "label"]
    assert made["id"].tolist() == sample["id"].tolist()
    assert set(made["label"]) <= {"circle", "square", "stripes"}


def test_the_provenance_says_what_the_submission_was_made_of(project: Project) -> None:
    told = json.loads(project.read("submissions/shapes.json"))
    assert told["sha256"] == hashlib.sha256(project.read("submissions/shapes.csv")).hexdigest()
    archive = hashlib.sha256(project.read("shapes.zip")).hexdigest()
    assert told["data"]["sha256"] == archive
    assert told["packages"]["torch"].startswith("2.11.0")
    assert told["devices"] and told["weights"] == {"a": 0.5, "b": 0.5}
    scores = json.loads(project.read("metrics/ensemble.json"))
    assert told["oof"] == {"accuracy": scores["ensemble"]["oof"]}
    assert told["stages"]["train@b-1"]["params"]["models.b"]["batch_size"] == 12
    assert "data/folds.csv" in told["stages"]["train@b-1"]["inputs"]


def test_dvc_shows_metrics_and_plots(project: Project) -> None:
    shown = json.loads(project.run("dvc", "metrics", "show", "--json").stdout)
    files = shown[""]["data"]
    assert files["metrics/ensemble.json"]["data"]["ensemble"]["oof"] >= 0
    assert set(files) >= {"metrics/a/fold0.json", "metrics/b/fold1.json"}
    page = project.run("dvc", "plots", "show", "--out", "plots").stdout.strip()
    assert "curves.csv" in Path(page.removeprefix("file://")).read_text()


def test_the_report_scores_each_model_and_the_ensemble_on_the_test_labels(
    project: Project,
) -> None:
    """Against labels in which each model is right as often as it happens to be."""
    hidden = competitions.tables(36, 9)[1]
    hidden.to_csv(project.folder / "solution.csv", index=False)
    project.edit(lambda p: p["competition"].update(solution="solution.csv"))
    project.repro()
    report = project.read("reports/report.md").decode()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines()]
    found = {
        row[0].strip("*"): row
        for row in rows
        if row and row[0].strip("*") in ("a", "b", "ensemble")
    }
    column = next(row for row in rows if row and row[0] == "model").index("test")
    truth = hidden.set_index("id")["label"]
    for name, path in (
        *((name, f"data/ensemble/members/{name}.parquet") for name in "ab"),
        ("ensemble", "data/ensemble/test.parquet"),
    ):
        made = predictions.read(project.folder / path, EnsembleProvenance)
        chosen = np.array(made.provenance.classes)[made.logits.argmax(axis=1)]
        right = float((chosen == truth.loc[made.ids].to_numpy()).mean())
        assert found[name][column] == f"{right:.4f}"
    oof = pd.read_csv(project.folder / "reports/oof.csv", dtype=str)
    assert oof["id"].tolist() == competitions.tables(36, 9)[0]["id"].tolist()
    page = project.run("dvc", "plots", "show", "--out", "plots").stdout.strip()
    assert "oof.csv" in Path(page.removeprefix("file://")).read_text()


def test_the_finders_measure_and_pin(project: Project) -> None:
    done = project.stage("batch_size", "a")
    assert done.returncode == 0, done.stdout
    assert "models.a.batch_size: 16 (was 8), measured on" in done.stdout  # 18 images to train on
    params = YAML(typ="safe").load(project.folder / "params.yaml")
    assert params["models"]["a"]["batch_size"] == 16
    assert params["models"]["b"]["batch_size"] == 12
    done = project.stage("lr_range", "a", "--steps", "30")
    assert done.returncode == 0 and "try lr: " in done.stdout, done.stdout
    curve = pd.read_csv(project.folder / "reports/lr_range/a.csv")
    assert curve.columns.tolist() == ["lr", "loss", "smoothed"] and len(curve) >= 10
    assert (project.folder / "reports/lr_range/a.png").stat().st_size > 1000
    done = project.stage("lr_range", "c")
    assert done.returncode == 1 and "error: params.yaml has no models.c" in done.stdout


def test_git_tracks_nothing_that_the_pipeline_makes_but_locks_and_metrics(project: Project) -> None:
    tracked = project.run("git", "ls-files").stdout.split()
    tops = {name.split("/")[0] for name in tracked}
    assert not tops & {"data", "models", "submissions", "reports"}
    assert [name for name in tracked if name.endswith(".gitignore")] == [
        ".dvc/.gitignore",
        ".gitignore",
    ]


def test_a_folder_as_source_gives_the_same_submission_as_its_zip(
    project: Project, tmp_path: Path
) -> None:
    import zipfile

    before = project.read("submissions/shapes.csv")
    with zipfile.ZipFile(project.folder / "shapes.zip") as archive:
        archive.extractall(tmp_path / "files")
    downstream(project, lambda p: p["competition"].update(source=os.fspath(tmp_path / "files")))
    assert project.read("submissions/shapes.csv") == before


def test_the_params_of_these_tests_are_valid() -> None:

    schema.validate(PARAMS)


@pytest.mark.thorough
def test_trainings_at_once_give_the_bytes_of_one_after_the_other(
    project: Project, tmp_path: Path
) -> None:
    """Eight of them."""

    def eight(params: dict[str, Any]) -> None:
        params["folds"].update(count=4, run=[0, 1, 2, 3])

    project.edit(eight)
    serial = project.copy(tmp_path / "serial")
    told = project.run("python", "-m", "commands.jobs", "8").stdout
    assert told.count("| Running stage 'train@") == 8
    assert told.count("Running stage 'predict") == 0
    serial.repro(*(f"train@{name}-{fold}" for name in "ab" for fold in range(4)))
    for name in "ab":
        for fold in range(4):
            path = f"models/{name}/fold{fold}/weights.safetensors"
            assert project.read(path) == serial.read(path), path
    left = project.run("dvc", "repro", "--dry").stdout
    assert "predict@a-3" in left and "Running stage 'train" not in left


def test_a_name_in_params_is_never_run_as_a_command(project: Project) -> None:
    name = "x; touch hacked"

    def renamed(params: dict[str, Any]) -> None:
        params["models"][name] = params["models"].pop("b")

    project.edit(renamed)
    done = project.run("dvc", "repro", "--single-item", f"train@{name}-0", check=False)
    assert done.returncode != 0 and f"models.{name}" in done.stdout, done.stdout
    assert not (project.folder / "hacked").exists()
