"""The real DVC on a small competition: what an edit reruns, and what a submission depends on."""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
from conftest import PARAMS, Project
from ruamel.yaml import YAML
from trainings import same_weights

from podium.core.provenance import EnsembleProvenance, PredictionProvenance
from podium.params import schema
from podium.prediction import predictions

pytestmark = pytest.mark.slow

END = {"ensemble", "submission", "report", "page"}
ALL_OF_B = {"train_all@b", "predict_all@b"}
TRAIN_A, TRAIN_B = {"train@a-0", "train@a-1"}, {"train@b-0", "train@b-1"}
PREDICT = {f"predict@{model}-{fold}" for model in "ab" for fold in (0, 1)}
TRAIN = TRAIN_A | TRAIN_B
B = TRAIN_B | {"predict@b-0", "predict@b-1"}
ALL = {"check", "fetch", "prepare", "folds", "explore"} | TRAIN | PREDICT | END


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


@pytest.fixture
def unchanged(done: Project) -> Iterator[Project]:
    """The finished project itself, whose params and code are put back afterwards."""
    yield done
    done.run("git", "checkout", "--quiet", "--", "params.yaml", "src")


def status(project: Project) -> set[str]:
    """The stages that `dvc status` lists as changed."""
    return set(json.loads(project.run("dvc", "status", "--json").stdout))


def first_lr(params: dict[str, Any]) -> None:
    params["models"]["b"]["phases"][0]["lr"] = 0.003


def one_more_model(params: dict[str, Any]) -> None:
    params["models"]["c"] = copy.deepcopy(params["models"]["a"])


def only_b(params: dict[str, Any]) -> None:
    del params["models"]["a"]
    params["ensemble"]["members"] = ["b"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: p["checkpoint"].update(every_minutes=1.0), set()),
        (lambda p: p["predict"].update(views=["identity", "vflip"]), PREDICT),
        (lambda p: p["predict"].update(batch_size=4), PREDICT),
        (lambda p: p["ensemble"].update(method="weighted"), {"ensemble"}),
        (lambda p: p["submission"].update(format="number"), {"submission", "report", "page"}),
        (first_lr, TRAIN_B),
        (lambda p: p["models"]["b"].update(seed=7), TRAIN_B),
        (one_more_model, {f"{stage}@c-{k}" for stage in ("train", "predict") for k in (0, 1)}),
        (only_b, {"ensemble"}),
        (lambda p: p["folds"].update(run=[1]), {"ensemble"}),
        (lambda p: p["folds"].update(all=["b"]), {"ensemble"} | ALL_OF_B),
        (lambda p: p["folds"].update(count=3), {"folds"}),
        (lambda p: p["prepare"].update(duplicates="keep"), {"prepare"}),
        (lambda p: p.update(seed=2), {"folds", "explore"} | TRAIN),
        (lambda p: p["prepare"].update(max_size=32), {"prepare"}),
    ],
    ids=["checkpoint", "views", "batch_size", "method", "format", "lr", "model_seed", "model",
         "without_a", "run", "all", "count", "duplicates", "seed", "max_size"],
)  # fmt: skip
def test_an_edit_of_params_changes_the_stages_that_use_it(
    unchanged: Project, change: Callable[[dict[str, Any]], Any], expected: set[str]
) -> None:
    unchanged.edit(change)
    assert status(unchanged) == {"check"} | expected


def test_trackers_rerun_nothing(unchanged: Project) -> None:
    for names in (["tensorboard"], ["wandb", "mlflow"], []):
        unchanged.edit(lambda params, names=names: params.update(trackers=names))
        assert status(unchanged) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("podium/training/loop.py", TRAIN),
        ("podium/training/tracking.py", TRAIN),
        ("podium/features/linear.py", {"check", "ensemble"} | TRAIN),
        ("podium/features/heads.py", {"check"}),
        ("podium/prediction/tta.py", {"check"} | PREDICT),
        ("podium/submission/blend.py", {"check"} | END),
        ("podium/pages/report_page.py", {"page"}),
        ("podium/pages/page.css", {"explore", "page"}),
        ("podium/params/schema.py", {"check"}),
        ("podium/config/submission.py", {"check", "submission", "report", "page"}),
        ("podium/kaggle/submit.py", set()),
        ("podium/kaggle/kernel/main.py", set()),
        ("podium/init/layout.py", set()),
        ("commands/submit.py", set()),
    ],
)
def test_an_edit_of_code_changes_the_stages_that_run_it(
    unchanged: Project, name: str, expected: set[str]
) -> None:
    code = unchanged.folder / "src" / name
    code.write_text(code.read_text() + "# a comment\n")
    assert status(unchanged) == expected


def test_a_new_view_changes_the_predictions_only(unchanged: Project) -> None:
    code = unchanged.folder / "src/podium/prediction/tta.py"
    code.write_text(code.read_text() + 'VIEWS["transpose"] = lambda images: images.mT\n')
    assert status(unchanged) == {"check"} | PREDICT  # `check` knows the names of the views


def test_nothing_edited_runs_nothing(project: Project) -> None:
    assert project.repro() == set()


def test_editing_one_models_rate_reruns_only_that_model(project: Project) -> None:
    project.edit(first_lr)
    # The last two need not run, where what they read comes out as it was.
    assert project.repro() | {"submission", "report", "page"} == {"check"} | B | END


def test_a_model_with_the_seed_of_another_is_the_same_model(project: Project) -> None:
    def two_copies(params: dict[str, Any]) -> None:
        params["models"]["c"] = params["models"]["a"] | {"seed": params["seed"]}
        params["models"]["d"] = params["models"]["a"] | {"seed": params["seed"] + 1}
        params["folds"]["run"] = [0]

    project.edit(two_copies)
    weights = {}
    for model in "acd":
        project.repro("--single-item", f"train@{model}-0")
        path = project.folder / "models" / model / "fold0" / "weights.safetensors"
        weights[model] = safetensors.torch.load_file(path)
    assert same_weights(weights["a"], weights["c"])
    assert not same_weights(weights["a"], weights["d"])


@pytest.mark.long
def test_a_further_seed_trains_only_itself_and_may_go_and_come_back(project: Project) -> None:
    members = [f"data/predictions/{model}/fold{fold}" for model in "ab" for fold in (0, 1)]
    files = [f"{folder}/{name}.parquet" for folder in members for name in ("oof", "test")]
    before = {name: project.read(name) for name in [*files, "data/ensemble/test.parquet"]}

    def seeds(count: str) -> str:
        done = project.stage("seeds", "b", "--count", count)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def of(name: str) -> set[str]:
        return {f"{stage}@{name}-{fold}" for stage in ("train", "predict") for fold in (0, 1)}

    assert seeds("2") == "Added to params.yaml: b-seed2. Next: dvc repro\n"
    assert project.repro() | END == {"check"} | of("b-seed2") | END
    assert {name: project.read(name) for name in files} == {name: before[name] for name in files}
    scores = json.loads(project.read("metrics/ensemble.json"))["members"]
    assert list(scores) == ["a", "b", "b-seed2"] and scores["b"] != scores["b-seed2"]
    two = project.read("data/ensemble/test.parquet")
    assert two != before["data/ensemble/test.parquet"]
    assert seeds("2") == "params.yaml already has 2 seeds of b.\n"

    assert "Added to params.yaml: b-seed3." in seeds("3")
    assert status(project) == {"check"} | of("b-seed3") | {"ensemble"}
    assert "Removed from params.yaml: b-seed2, b-seed3." in seeds("1")
    assert project.repro() <= {"check"} | END
    assert {name: project.read(name) for name in before} == before
    seeds("2")
    assert project.repro() <= {"check"} | END
    assert project.read("data/ensemble/test.parquet") == two


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", "2"), "no model is given. Set MODEL to one of: a, b."),
        (("c", "--count", "2"), "params.yaml has no models.c"),
        (("a",), "N must be a whole number of at least 1, such as N=3."),
        (("a", "--count", "0"), "N must be a whole number of at least 1, not '0'."),
        (("a", "--count", "two"), "N must be a whole number of at least 1, not 'two'."),
        (("p", "--count", "2"), "p is a probe: its result does not depend on a seed."),
    ],
)
def test_seeds_of_what_is_wrong_are_an_error(
    unchanged: Project, arguments: tuple[str, ...], message: str
) -> None:
    def add_probe(params: dict[str, Any]) -> None:
        network = {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
        params["embeddings"] = {"e": network}
        params["probes"] = {"p": {"features": ["e"]}}

    unchanged.edit(add_probe)
    before = unchanged.read("params.yaml")
    failed = unchanged.stage("seeds", *arguments)
    assert failed.returncode == 1 and message in failed.stdout, failed.stdout
    assert unchanged.read("params.yaml") == before


def test_a_model_of_all_folds_trains_after_the_folds_and_joins_their_mean(
    project: Project,
) -> None:
    before = json.loads(project.read("metrics/ensemble.json"))["members"]["b"]
    project.edit(lambda p: p["folds"].update(all=["b"]))
    assert project.repro() | {"submission"} == {"check"} | ALL_OF_B | END
    folder = project.folder / "data/predictions/b"
    tables = [
        predictions.read(folder / fold / "test.parquet", PredictionProvenance)
        for fold in ("fold0", "fold1", "all")
    ]
    assert [table.provenance.training.fold for table in tables] == [0, 1, "all"]
    best = [json.loads(project.read(f"metrics/b/fold{fold}.json"))["epoch"] for fold in (0, 1)]
    assert tables[2].provenance.training.epochs == [int(np.median(best) + 0.5)]
    alone = predictions.read(project.folder / "data/ensemble/members/b.parquet", EnsembleProvenance)
    mean = np.stack([table.logits for table in tables]).mean(axis=0)
    assert np.array_equal(alone.logits, mean)
    scores = json.loads(project.read("metrics/ensemble.json"))["members"]
    assert scores["b"]["oof"] == before["oof"]  # it has no part in it
    assert "for the test images only: b" in project.read("reports/report.md").decode()
    weights = project.read("models/b/all/weights.safetensors")
    assert project.stage("train_all", "--model", "b").returncode == 0
    assert project.read("models/b/all/weights.safetensors") == weights
    assert project.repro() == set()
    project.edit(first_lr)
    assert status(project) == {"check"} | TRAIN_B | {"train_all@b"}


def test_training_fewer_folds_trains_nothing_again(project: Project) -> None:
    project.edit(lambda p: p["folds"].update(run=[1]))
    assert project.repro() | {"submission", "report", "page"} == {"check"} | END
    oof = pd.read_parquet(project.folder / "data/ensemble/oof.parquet")
    folds = pd.read_csv(project.folder / "data/folds.csv", dtype={"id": str})
    assert set(oof["id"]) == set(folds.loc[folds["fold"] == 1, "id"])


def test_a_model_that_was_removed_has_no_part_in_the_submission(project: Project) -> None:
    project.edit(only_b)
    assert project.repro() | {"submission", "report", "page"} == {"check"} | END
    assert (project.folder / "data/predictions/a").exists()
    assert list(json.loads(project.read("metrics/ensemble.json"))["members"]) == ["b"]


def test_a_mistake_in_a_late_section_stops_everything(project: Project) -> None:
    project.edit(lambda p: p["ensemble"].update(mehtod="mean"))
    done = project.run("dvc", "repro", check=False)
    assert done.returncode != 0 and "ensemble.mehtod" in done.stdout
    assert "Running stage 'fetch'" not in done.stdout


@pytest.mark.long
def test_rerunning_everything_without_decoded_images_gives_the_same_submission(
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
    provenance = json.loads(project.read("submissions/shapes.json"))
    assert (
        provenance["sha256"] == hashlib.sha256(project.read("submissions/shapes.csv")).hexdigest()
    )
    archive = hashlib.sha256(project.read("shapes.zip")).hexdigest()
    assert provenance["data"]["sha256"] == archive
    assert provenance["packages"]["torch"].startswith("2.11.0")
    assert provenance["devices"] and provenance["weights"] == {"a": 0.5, "b": 0.5}
    scores = json.loads(project.read("metrics/ensemble.json"))
    assert provenance["oof"] == {"accuracy": scores["ensemble"]["oof"]}
    assert provenance["stages"]["train@b-1"]["params"]["models.b"]["batch_size"] == 12
    assert "data/folds.csv" in provenance["stages"]["train@b-1"]["inputs"]


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
    (header,) = [row for row in rows if row and row[0] == "model" and "test" in row]
    found = {
        row[0].strip("*"): row
        for row in rows
        if len(row) == len(header) and row[0].strip("*") in ("a", "b", "ensemble")
    }
    column = header.index("test")
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
    assert done.returncode == 0 and "suggested lr: " in done.stdout, done.stdout
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
    project.edit(lambda p: p["competition"].update(source=os.fspath(tmp_path / "files")))
    project.repro()
    assert project.read("submissions/shapes.csv") == before


def test_the_params_of_these_tests_are_valid() -> None:

    schema.validate(PARAMS)


@pytest.mark.long
def test_trainings_at_once_give_the_bytes_of_one_after_the_other(
    project: Project, tmp_path: Path
) -> None:
    """Eight of them."""

    def eight(params: dict[str, Any]) -> None:
        params["folds"].update(count=4, run=[0, 1, 2, 3])

    project.edit(eight)
    serial = project.copy(tmp_path / "serial")
    output = project.run("python", "-m", "commands.jobs", "8").stdout
    assert output.count("| Running stage 'train@") == 8
    assert output.count("Running stage 'predict") == 0
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
    done = project.run("dvc", "repro", check=False)
    assert done.returncode != 0 and f"models.{name}" in done.stdout, done.stdout
    assert not (project.folder / "hacked").exists()
