"""What a notebook of `make train ON=kaggle` gets, and where it puts it."""

import base64
import json
import shutil
import time
from pathlib import Path

import pytest
from conftest import Project
from huggingface_hub import try_to_load_from_cache

from podium.cluster.job import Job
from podium.cluster.pipeline import Pipeline
from podium.core import params_file
from podium.kaggle_gpu import layout, notebook, results, start, uploads, work
from podium.kaggle_gpu.notebook import FailedError, Session
from podium.kaggle_gpu.work import Work
from podium.params import schema

REPO = "timm/test_resnet.r160_in1k"
OWN = "custom/own.safetensors"


def build(project: Project, *jobs: Job) -> Work:
    raw, pipeline = params_file.read(params_file.PARAMS), Pipeline(project.folder)
    options = {"owner": "me", "wheels": None, "gpus": 2, "attempt": 0}
    return work.build(schema.load(), raw, pipeline, jobs, **options)  # type: ignore[arg-type]


def attach(built: Work, folder: Path) -> None:
    """The folders of the data sets, as in a notebook."""
    for ref, contents in built.datasets.items():
        place = folder / "datasets" / ref
        place.mkdir(parents=True)
        for name, content in contents.items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            (place / name).write_bytes(data)


@pytest.fixture
def project(finished_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two models: a starts from a file in the project, b from the hub's weights."""
    project = finished_project.copy(tmp_path / "project")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cache = tmp_path / "hub" / f"models--{REPO.replace('/', '--')}"
    for path, text in (
        ("refs/main", "c0ffee"),
        ("snapshots/c0ffee/model.safetensors", "the hub's"),
    ):
        (cache / path).parent.mkdir(parents=True)
        (cache / path).write_text(text)
    (project.folder / OWN).write_text("own")
    project.edit(lambda p: p["models"]["a"].update(pretrained=OWN, shards=4))
    project.edit(lambda p: p["models"]["b"].update(pretrained=True, architecture="test_resnet"))
    project.enter(monkeypatch)
    return project


def test_weights_and_checkpoints_arrive_where_they_are_looked_for(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = Job("a", 0, ("train@a-0", "predict@a-0")), Job("b", 1, ("train@b-1", "predict@b-1"))
    for number in (7, 8):
        data = json.dumps({"number": number}).encode() + b"\nstate"
        (project.folder / b.folder).mkdir(parents=True, exist_ok=True)
        (project.folder / b.folder / f"{number % 2}.ckpt").write_bytes(data)
    built = build(project, a, b)
    assert build(project, a, b) == built  # its name follows from its content
    attach(built, tmp_path / "input")
    monkeypatch.setattr(start, "INPUT", tmp_path / "input")
    there = tmp_path / "there"
    there.mkdir()
    dataset = tmp_path / "input/datasets" / built.ref
    content = json.loads((dataset / "work.json").read_bytes())
    for name in ("params.yaml", layout.NOTEBOOK_PARAMS.name):
        (there / name).write_bytes(b"")
    session = Session(content, dataset, there, time.monotonic())
    notebook.place_files(session)
    assert (there / OWN).read_text() == "own"
    inline = content["files"]
    for name in (n for n in inline if n.startswith(".hub")):
        (there / name).parent.mkdir()
        (there / name).write_bytes(base64.b64decode(inline[name]))
    found = try_to_load_from_cache(REPO, "model.safetensors", cache_dir=there / layout.HUB)
    assert isinstance(found, str) and Path(found).read_text() == "the hub's"
    newest = results.newest_checkpoint(there / b.folder)
    assert newest is not None and b'"number": 8' in newest.read_bytes()
    assert [job["gpus"] for job in content["jobs"]] == [2, 1]  # shards, on both
    assert OWN not in inline  # large files are not in it
    blob = next(iter(built.datasets[next(iter(built.datasets))]))
    shared = tmp_path / "input/datasets" / next(iter(built.datasets)) / blob
    shared.write_bytes(b"damaged")
    with pytest.raises(FailedError, match="is damaged"):
        notebook.place_files(session)


def test_a_prediction_gets_trained_weights_and_no_images(
    project: Project, finished_project: Project
) -> None:
    built = build(project, Job("a", 0, ("predict@a-0",)))
    content = json.loads(built.datasets[built.ref]["work.json"])  # type: ignore[arg-type]
    weights = finished_project.read("models/a/fold0/weights.safetensors")
    files = [path for path in built.datasets[built.ref].values() if isinstance(path, Path)]
    assert [path.read_bytes() for path in files] == [weights]
    assert {"data/images", "data/folds.csv", "data/prepared.json"} <= content["data"].keys()


def test_packages_are_those_of_the_lock_without_torch() -> None:
    names = {*uploads.packages()}
    assert {"dvc", "timm", "numpy", "opencv-python-headless", "albumentations"} <= names
    assert not [n for n in names if n.startswith(("torch", "nvidia", "triton", "cuda"))]


def test_names_are_those_that_kaggle_allows() -> None:
    sha256 = 64 * "a"
    assert work.name("me", "My_zip--1", sha256) == "me/podium-my-zip-1-aaaaaaaaaaaa"
    long = work.name("me", f"{23 * 'x'}-yz", sha256)
    assert long == f"me/podium-{23 * 'x'}-aaaaaaaaaaaa" and len(long) <= len("me/") + 50


def test_a_training_run_may_end_while_its_output_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".checkpoints/a/fold0"
    folder.mkdir(parents=True)
    (folder / "0.ckpt").write_bytes(b"damaged")
    (folder / "1.ckpt").write_bytes(b'{"number": 1}\n')
    outputs = results.Outputs(tmp_path, [".checkpoints/a/fold0", ".checkpoints/a/fold1"])
    assert outputs.checkpoints() == [folder / "1.ckpt"]
    assert outputs.sizes() == [14]
    newest = results.newest_checkpoint

    def ends(path: Path) -> Path | None:
        found = newest(path)
        shutil.rmtree(path, ignore_errors=True)
        return found

    monkeypatch.setattr(results, "newest_checkpoint", ends)
    assert outputs.sizes() == []


def test_whatever_fails_in_a_notebook_its_outcome_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho Tesla T4\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(start, "INPUT", tmp_path)
    for name in ("shapes", "project", "output"):
        (tmp_path / name).mkdir()
    content = {"competition": "shapes", "wheels": "me/packages", "checkpoint_folders": []}
    (tmp_path / "work.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path / "project")
    arguments = [str(tmp_path), str(time.monotonic()), "1", str(tmp_path / "output")]
    monkeypatch.setattr("sys.argv", ["notebook", *arguments])
    notebook.main()
    outcome = json.loads((tmp_path / "output/podium.json").read_bytes())
    assert (outcome["status"], outcome["kind"], outcome["files"]) == ("failed", "system", {})
    assert outcome["message"].endswith("has none of datasets/me/packages, packages.")
