"""The archive for prize winners: its contents, and that they reproduce the submission elsewhere."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import channel_kinds
import competitions
import file_kinds
import kernels
import numpy as np
import pytest
import several_targets
from conftest import PARAMS, ROOT, Project
from ruamel.yaml import YAML

from podium.core import files, paths
from podium.core.errors import UserError
from podium.kaggle import zip_writer
from podium.kaggle.handover import code, documents, pack
from podium.params import schema
from podium.params.schema import Params

TOKEN = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"
SECRETS = ("kaggle.json", ".env", ".dvc/config.local", "submissions/history.csv")
PREPARE, TRAIN, PREDICT = range(3)
RUNS = [(model, fold) for model in "ba" for fold in (0, 1)]


@pytest.fixture(scope="module")
def project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with secrets that git tracks."""
    project = finished_project.copy(tmp_path_factory.mktemp("handover") / "project")
    for name in ("requirements.txt", "README.md"):
        shutil.copy(ROOT / name, project.folder)
    for name in SECRETS:
        (project.folder / name).write_text(f"# {TOKEN}")
    project.run("git", "add", "--all", "--force", "README.md", *SECRETS)
    return project


@pytest.fixture(scope="module")
def archive(project: Project) -> Path:
    command = project.stage("handover")
    assert command.returncode == 0, command.stdout
    assert ".env, kaggle.json" in command.stdout  # the warning
    return project.folder / "handover/shapes.zip"


def unpack(archive: Path, folder: Path) -> Project:
    shutil.unpack_archive(archive, folder)
    return Project.at(folder)


def follow(unpacked: Project, step: int) -> None:
    """Run a block of entry_points.md."""
    blocks = re.findall(r"```sh\n(.*?)```", unpacked.read("entry_points.md").decode(), re.DOTALL)
    assert len(blocks) == 3
    run(unpacked, blocks[step].splitlines())


def run(unpacked: Project, commands: list[str]) -> None:
    for command in commands:
        assert command.startswith("python src/")
        unpacked.run(*command.split())


@pytest.mark.slow
def test_the_archive_contains_what_kaggle_requires_and_no_data_or_secrets(
    project: Project, archive: Path
) -> None:
    with zipfile.ZipFile(archive) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    raw = {*kernels.files(9).values()}
    for name, data in contents.items():
        assert TOKEN.encode() not in data, name
        assert not data.startswith((b"\x89PNG", b"PK\x03\x04", b"ARROW1")), name
        assert data not in raw, name
    source = {path for path in (project.folder / "src").rglob("*") if path.suffix in (".py", ".j2")}
    assert {path.relative_to(project.folder).as_posix() for path in source} < set(contents)
    weights = next(name for name in contents if name.startswith("pretrained/"))
    runs = [f"{model}/fold{fold}" for model, fold in RUNS]
    assert {name for name in contents if not name.startswith("src/")} == {
        *("custom/README.md", "custom/lists/README.md"),
        *("custom/my_metric.py", "custom/helpers.py"),
        *("README.md", "PODIUM.md", "SETTINGS.json", "directory_structure.txt", "entry_points.md"),
        *("requirements.txt", "params.yaml", "dvc.yaml", "dvc.lock", ".dvcignore", ".gitignore"),
        *("data/folds.csv", "data/folds.json", "data/metric.json", "data/raw/source.json"),
        "metrics/ensemble.json",
        *(f"models/{run}/weights.safetensors" for run in runs),
        *(f"models/{run}/curves.csv" for run in runs),
        *(f"metrics/{run}.json" for run in runs),
        *("models/a/all/weights.safetensors", "models/a/all/curves.csv", "metrics/a-all.json"),
        *("submissions/shapes.csv", "submissions/shapes.json", weights),
    }
    assert contents["requirements.txt"] == (ROOT / "requirements.txt").read_bytes()
    assert contents["submissions/shapes.csv"] == project.read("submissions/shapes.csv")
    packed, params = (
        YAML(typ="safe").load(text)
        for text in (contents["params.yaml"], project.read("params.yaml"))
    )
    params["models"]["a"]["pretrained"] = weights
    assert packed == params


@pytest.mark.slow
def test_the_directory_structure_is_the_output_of_find(archive: Path, tmp_path: Path) -> None:
    unpacked = unpack(archive, tmp_path)
    listing = unpacked.run("bash", "-c", "find . | LC_ALL=C sort").stdout
    assert unpacked.read("directory_structure.txt").decode() == listing


@pytest.mark.slow
def test_the_readme_has_scores_times_and_versions(project: Project, archive: Path) -> None:
    text = zipfile.ZipFile(archive).read("README.md").decode()
    scores = json.loads(project.read("metrics/ensemble.json"))
    a, ensemble = scores["members"]["a"], scores["ensemble"]
    folds = " | ".join(f"{a['folds'][fold]:.4f}" for fold in "01")
    spread = f"{a['mean']:.4f} ± {a['std']:.4f}"
    assert f"| a | {a['weight']:.3f} | {folds} | {spread} | {a['oof']:.4f} |\n" in text
    assert re.search(rf"\| \*\*ensemble\*\* \| +\| .* \| {ensemble['oof']:.4f} \|\n", text)
    seconds = json.loads(project.read("metrics/a/fold1.json"))["seconds"]
    assert f"| `python src/train.py --model a --fold 1` | {seconds:.1f} |" in text
    assert re.search(r"\| `python src/prepare.py` \| [^\d]+ \|", text)
    record = json.loads(project.read("submissions/shapes.json"))
    assert f"| torch | {record['packages']['torch']} |" in text
    assert f"| git commit | {record['git']['commit']} |" in text
    assert f"`{record['data']['sha256']}`" in text
    assert "| `train/` | 36 |" in text and "| `train.csv` | 1 |" in text


@pytest.mark.slow
def test_the_same_project_gives_the_same_bytes(
    project: Project, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.enter(monkeypatch)
    zip_writer.write(tmp_path / "b.zip", pack.contents(schema.load()))
    assert (tmp_path / "b.zip").read_bytes() == archive.read_bytes()


@pytest.mark.slow
@pytest.mark.long
def test_training_from_the_archive_gives_the_same_submission(
    project: Project, archive: Path, tmp_path: Path
) -> None:
    unpacked = unpack(archive, tmp_path)
    (path,) = re.findall(r"`(\S+\.zip)`, for example", unpacked.read("README.md").decode())
    shutil.copy(project.folder / "shapes.zip", unpacked.folder / path)
    for model, fold in RUNS:
        (unpacked.folder / f"models/{model}/fold{fold}/weights.safetensors").unlink()
    (unpacked.folder / "submissions/shapes.csv").unlink()
    for step in (PREPARE, TRAIN, PREDICT):
        follow(unpacked, step)
    assert unpacked.read("submissions/shapes.csv") == project.read("submissions/shapes.csv")
    for name in json.loads(unpacked.read("SETTINGS.json")).values():
        assert (unpacked.folder / name).exists(), name

    # A new test set, as the README describes.
    competitions.write_zip(unpacked.folder / path, kernels.files(12))
    (commands,) = re.findall(r"then run (`.*?)\nand step 3", unpacked.read("README.md").decode())
    run(unpacked, re.findall(r"`(.*?)`", commands))
    follow(unpacked, PREDICT)
    assert len(unpacked.read("submissions/shapes.csv").splitlines()) == 13


def with_noise() -> dict[str, bytes]:
    """A competition with a second image per id, of noise."""
    rng, files = np.random.default_rng(0), dict[str, bytes]()
    for name, data in kernels.files(9).items():
        stem, dot, suffix = name.partition(".png")
        if not dot:
            files[name] = data
            continue
        files[f"{stem}_1.png{suffix}"] = data
        noise = rng.integers(0, 256, (40, 48, 3)).astype(np.uint8)
        files[f"{stem}_2.png{suffix}"] = competitions.encode(noise)
    return files


def several_images(params: dict[str, Any]) -> None:
    params |= {"task": "binary", "metric": "log_loss"}
    params["prepare"] = {"images": "{id}_*"}
    params["models"]["a"]["phases"] = [{"epochs": 8, "lr": 0.005}]
    params["ensemble"]["aggregate"] = "max"


def channels(params: dict[str, Any]) -> None:
    stack = ["red", "green", "blue", "yellow"]
    params["prepare"] = {"images": "{id}_*", "stack": stack, "channels": 4}


def container(params: dict[str, Any]) -> None:
    params["prepare"] = {"train_images": "train-image", "test_images": "test-image"}


def metadata(params: dict[str, Any]) -> None:
    params["prepare"] |= {"features": "auto"}
    params["models"]["a"]["metadata"] = {"hidden_size": 8}
    params["probes"]["columns"] = {"features": ["metadata"], "head": "lightgbm", "strength": 10}
    params["ensemble"]["members"] += ["columns"]


def stacked_metadata(params: dict[str, Any]) -> None:
    params["task"] = "binary"
    metadata(params)
    params["ensemble"] |= {"method": "stack", "stack_metadata": True}


def targets(params: dict[str, Any]) -> None:
    columns = {"size": "regression", "kind": "multiclass", "light": "regression"}
    params |= {"task": "multitarget", "metric": "mean"}
    params["prepare"] = {"label_column": columns, "no_label": {"kind": ["not sure"]}}
    metadata(params)
    params["probes"]["p"]["head"] = {"size": "ridge", "kind": "logistic", "light": "ridge"}
    params["models"]["a"]["shards"] = 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "change"),
    [
        pytest.param(with_noise, several_images, marks=pytest.mark.long),
        pytest.param(
            lambda: competitions.with_metadata(kernels.files(9)),
            stacked_metadata,
            marks=pytest.mark.long,
        ),
        pytest.param(lambda: channel_kinds.stacked()[0], channels, marks=pytest.mark.long),
        pytest.param(
            lambda: file_kinds.hdf5(file_kinds.encoded_by_key).files,
            container,
            marks=pytest.mark.long,
        ),
        (lambda: competitions.with_metadata(several_targets.mixed()), targets),
    ],
    ids=["several_images", "metadata", "stack", "hdf5", "targets"],
)
def test_each_kind_of_input_gives_the_same_submission(
    files: Callable[[], dict[str, bytes]], change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    """Trained again from the archive, without the trackers of the original."""
    project = Project(tmp_path / "project")
    project.write_archive(files())
    for name in ("requirements.txt", "README.md"):
        shutil.copy(ROOT / name, project.folder)

    def with_probe(params: dict[str, Any]) -> None:
        params["folds"]["run"] = [0]
        network = {"architecture": "test_resnet", "image_size": 24, "pretrained": False}
        params["embeddings"] = {"small": network}
        params["probes"] = {"p": {"features": ["small"]}}
        params["ensemble"]["members"] = ["a", "p"]
        change(params)

    project.edit(with_probe)
    project.repro("submission")
    project.edit(lambda params: params.update(trackers=["mlflow"]))
    project.run("git", "add", "--all")
    command = project.stage("handover")
    assert command.returncode == 0, command.stdout
    unpacked = unpack(project.folder / "handover/shapes.zip", tmp_path / "unpacked")
    shutil.copy(project.folder / "shapes.zip", unpacked.folder / "data/raw/shapes.zip")
    for name in ("models", "metrics", "submissions"):
        shutil.rmtree(unpacked.folder / name)
    for step in (PREPARE, TRAIN, PREDICT):
        follow(unpacked, step)
    name = "models/a/fold0/weights.safetensors"
    assert unpacked.read(name) == project.read(name)
    assert unpacked.read("submissions/shapes.csv") == project.read("submissions/shapes.csv")
    assert not (unpacked.folder / "mlruns").exists()


@pytest.mark.slow
@pytest.mark.thorough
def test_measuring_reproduces_the_submission_and_documents_the_times(
    project: Project, tmp_path: Path
) -> None:
    output = tmp_path / "measured.zip"
    command = project.stage("handover", "--measure", "--output", str(output))
    assert command.returncode == 0, command.stdout
    assert [*tmp_path.iterdir()] == [output]
    text = zipfile.ZipFile(output).read("README.md").decode()
    times = dict(re.findall(r"\| `python src/(\w+)\.py.*` \| (\d+\.\d) \|", text))
    of_folds = {"train", "predict", "train_all", "predict_all"}
    assert set(times) == {"prepare", "folds", "ensemble", "submission"} | of_folds
    assert float(times["predict"]) > 0


@pytest.mark.slow
def test_a_command_that_fails_while_measured_is_an_error_and_leaves_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.enter(monkeypatch)
    monkeypatch.setenv("PODIUM_WORKERS", "many")
    with pytest.raises(UserError, match=r"src/prepare\.py(.|\n)*PODIUM_WORKERS"):
        pack.measure(schema.load(), tmp_path / "measured.zip")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_an_outdated_submission_is_an_error_and_the_archive_stays(
    project: Project, archive: Path, tmp_path: Path
) -> None:
    copy = project.copy(tmp_path / "project")
    with (copy.folder / "src/podium/prediction/tta.py").open("a") as file:
        file.write("# edited\n")
    command = copy.stage("handover")
    assert command.returncode == 1 and "Traceback" not in command.stdout
    assert "predict@a-0" in command.stdout and "train@" not in command.stdout
    assert (copy.folder / "handover/shapes.zip").read_bytes() == archive.read_bytes()


@pytest.mark.slow
def test_pretrained_weights_that_have_changed_are_an_error(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.enter(monkeypatch)
    params = schema.load()
    (tmp_path / "other.safetensors").write_bytes(b"other")
    for name in ("missing.safetensors", "other.safetensors"):
        changed = {"pretrained": str(tmp_path / name)}
        models = params.models | {"a": params.models["a"].model_copy(update=changed)}
        with pytest.raises(UserError, match=rf"models\.a\.pretrained: .*/{name}"):
            pack.contents(params.model_copy(update={"models": models}))


def params_for(source: str, labels: str | None = None) -> Params:
    params = {
        **PARAMS,
        "competition": {"source": source, "slug": "shapes", "solution": labels},
        "models": {"a": PARAMS["models"]["a"], "b-2": PARAMS["models"]["a"]},
        "ensemble": {"members": ["a", "b-2"]},
        "folds": {**PARAMS["folds"], "count": 3, "run": [0, 2], "all": ["b-2"]},
    }
    return schema.validate(params)


def test_every_model_and_fold_has_its_commands() -> None:
    runs = [f"--model {model} --fold {fold}" for model in ("a", "b-2") for fold in (0, 2)]
    params = params_for("shapes.zip")
    steps = documents.steps(params)
    assert steps["train"] == [
        *(f"python src/train.py {options}" for options in runs),
        "python src/train_all.py --model b-2",
    ]
    assert steps["predict"] == [
        *(f"python src/predict.py {options}" for options in runs),
        "python src/predict_all.py --model b-2",
        *("python src/ensemble.py", "python src/submission.py"),
    ]
    template = documents.TEMPLATES.get_template("entry_points.md.j2")
    text = template.render(params=params, paths=paths, steps=steps)
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert [block.splitlines() for block in blocks] == [*steps.values()]


@pytest.mark.parametrize(
    ("source", "labels", "fetched"),
    [
        ("kaggle", None, True),
        ("builtin", None, True),
        ("../shapes.zip", None, False),
        ("kaggle", "labels.csv", False),  # which is not in the archive
    ],
)
def test_only_what_can_be_fetched_elsewhere_is_fetched(
    source: str, labels: str | None, fetched: bool
) -> None:
    prepare = documents.steps(params_for(source, labels))["prepare"]
    assert ("python src/fetch.py" in prepare) == fetched
    assert prepare[-2:] == ["python src/prepare.py", "python src/folds.py"]


def test_the_settings_are_the_paths_of_the_pipeline() -> None:
    settings = json.loads(documents.TEMPLATES.get_template("SETTINGS.json.j2").render(paths=paths))
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    for key, stage in {
        "RAW_DATA_DIR": "fetch",
        "CLEAN_DATA_DIR": "prepare",
        "FOLDS_PATH": "folds",
        "MODEL_DIR": "train",
        "METRICS_DIR": "train",
        "PREDICTIONS_DIR": "predict",
        "ENSEMBLE_DIR": "ensemble",
        "SUBMISSION_DIR": "submission",
    }.items():
        kinds = (stages[stage].get(kind, []) for kind in ("outs", "metrics", "plots"))
        outs = [Path(next(iter(out)) if isinstance(out, dict) else out) for k in kinds for out in k]
        assert any(out.is_relative_to(settings[key]) for out in outs), key


def test_code_is_what_git_tracks_and_untracked_code_but_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.at(tmp_path)
    project.run("git", "init", "--quiet")
    tracked = ("notes.md", "docs/a.png", "raw/train/1.png", "my.pem", "metrics/a.json")
    untracked = ("src/mine.py", "src/mine.pyc", "custom/metric.py", "photo.png")
    for name in (*tracked, *untracked, ".gitignore"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("*.pyc\n" if name == ".gitignore" else "")
    project.run("git", "add", *tracked)
    monkeypatch.chdir(tmp_path)
    listed = code.list_files(params_for("raw").competition)
    assert {path.as_posix() for path in listed} == {
        *("notes.md", "docs/a.png", "src/mine.py", "custom/metric.py")
    }


def test_a_folder_as_output_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        zip_writer.write(tmp_path, {"README.md": b""})


def test_a_zip_has_the_same_bytes_for_the_same_contents(tmp_path: Path) -> None:
    for name, order in (("a", 1), ("b", -1)):
        (tmp_path / name).mkdir()
        script = tmp_path / name / "run"
        script.write_bytes(b"#!/bin/sh\n")
        script.chmod(0o755 if name == "a" else 0o775)
        contents = {"run": script, "x.safetensors": b"0" * 999, "y.txt": b"0" * 999}
        zip_writer.write(tmp_path / f"{name}.zip", dict([*contents.items()][::order]))
    assert files.sha256(tmp_path / "a.zip") == files.sha256(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.getinfo("run").external_attr >> 16 == 0o755
        assert opened.getinfo("x.safetensors").compress_size == 999
        assert opened.getinfo("y.txt").compress_size < 99
