"""Real experiment trackers: what they recorded of a training run, read back from their files."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import tracked_runs
import trainings
from conftest import ROOT, Project
from tracked_runs import TrackedRun

ALL = ["tensorboard", "mlflow", "wandb", "trackio"]
for package in ALL:
    pytest.importorskip(package, reason="needs the trackers: `make test-trackers`")
pytestmark = [pytest.mark.trackers, pytest.mark.slow]

EPOCHS = 12
COMMAND = (sys.executable, "src/train.py", "--model", "a", "--fold", "0")


@pytest.fixture
def tracked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project up to its folds, with all trackers and a short training."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(project.folder / "trackio"))
    for name in ("MLFLOW_TRACKING_URI", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def change(params: dict[str, Any]) -> None:
        params["models"]["a"]["phases"] = [{"epochs": EPOCHS, "lr": 0.005}]
        params["trackers"] = ALL

    project.edit(change)
    for stage in ("check", "fetch", "prepare", "folds"):
        assert project.stage(stage).returncode == 0
    return project


def train(project: Project, **environment: str) -> str:
    done = project.run(*COMMAND, check=False, **environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def runs_of(project: Project) -> dict[str, dict[str, TrackedRun]]:
    return {name: read(project.folder) for name, read in tracked_runs.READERS.items()}


def check(project: Project, run: TrackedRun) -> None:
    """A run has each epoch of curves.csv once, with its numbers."""
    curves = pd.read_csv(project.folder / "models/a/fold0/curves.csv").dropna(axis=1)
    for name in curves.columns.drop("epoch"):
        if name in ("seconds", "images_per_s"):  # of the interrupted process
            assert [step for step, _ in run.curves[name]] == curves["epoch"].tolist(), name
            continue
        expected = dict(zip(curves["epoch"], curves[name], strict=True))
        steps = [step for step, _ in run.curves[name]]
        assert sorted(steps) == [*expected], name
        values = np.array([value for _, value in sorted(run.curves[name])])
        assert np.allclose(values, [*expected.values()], rtol=1e-6), name


def test_config_curves_and_images_are_logged(tracked: Project) -> None:
    train(tracked)
    for name, runs in runs_of(tracked).items():
        ((run_id, run),) = runs.items()
        assert run_id.startswith("a-0-")
        check(tracked, run)
        assert run.config["config.architecture"].strip("'\"") == "test_resnet", name
        assert float(run.config["config.phases.0.lr"]) == 0.005
        assert int(run.config["train_images"]) == 18
        (encoded,) = run.images
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[0] > 300 and picture.std() > 20, name


@pytest.mark.parametrize("kills", [[1], [5, 8]])
def test_an_interrupted_training_continues_its_run(tracked: Project, kills: list[int]) -> None:
    for epoch in kills:
        process = subprocess.Popen(
            COMMAND, cwd=tracked.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"epoch {epoch:3d}"):
                break
        process.kill()
        process.wait()
    assert "resuming from checkpoint" in train(tracked)
    for name, runs in runs_of(tracked).items():
        (run,) = runs.values()
        check(tracked, run)
        assert len(run.images) == 1, name


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "processes",
    [
        # the epochs of the first checkpoint and at the end of each process, and how it ends
        pytest.param([(0, 4, "kill"), (2, 6)], id="checkpoint older than the log"),
        pytest.param([(0, 3, "kill"), (5, 6)], id="log older than the checkpoint"),
        pytest.param([(0, 0, "kill"), (0, 6)], id="killed in the first epoch"),
        pytest.param([(0, 4, "stop"), (4, 6)], id="stopped"),
    ],
)
def test_after_a_kill_no_epoch_is_missing_or_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, processes: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    for process in processes:
        done = subprocess.run(
            [sys.executable, ROOT / "tests/training/log_epochs.py", name, *map(str, process)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True,
        )  # fmt: skip
        assert done.returncode == (-signal.SIGKILL if "kill" in process else 0), done.stdout
        assert "warning: " not in done.stdout, done.stdout
    ((run_id, run),) = tracked_runs.READERS[name](tmp_path).items()
    assert run_id == "a-0-123" and len(run.images) == 1
    assert float(run.config["nested.lr"]) == 0.1
    assert run.curves["score"] == [
        (epoch, pytest.approx(epoch / 100, rel=1e-6)) for epoch in range(1, 7)
    ]
    assert [step for step, _ in run.curves["seconds"]] == [*range(1, 7)]


def test_a_training_stopped_by_a_signal_continues_its_run(tracked: Project) -> None:
    process = trainings.start(tracked)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75
    train(tracked)
    for runs in runs_of(tracked).values():
        (run,) = runs.values()
        check(tracked, run)


def test_tracking_does_not_change_the_weights(tracked: Project) -> None:
    train(tracked)
    weights = tracked.read("models/a/fold0/weights.safetensors")
    tracked.edit(lambda params: params.pop("trackers"))
    train(tracked)
    assert tracked.read("models/a/fold0/weights.safetensors") == weights


def test_other_settings_are_another_run(tracked: Project) -> None:
    train(tracked)
    tracked.edit(lambda params: params["models"]["a"].update(dropout=0.1))
    train(tracked)
    assert all(len(runs) == 2 for runs in runs_of(tracked).values())


def test_a_resumed_training_may_get_a_tracker(tracked: Project) -> None:
    tracked.edit(lambda params: params.update(trackers=["mlflow"]))
    process = trainings.start(tracked)
    process.kill()
    process.wait()
    tracked.edit(lambda params: params.update(trackers=ALL))
    assert "resuming from checkpoint" in train(tracked)
    for runs in runs_of(tracked).values():
        (run,) = runs.values()
        check(tracked, run)


def test_an_unreachable_server_is_a_warning_without_its_password(tracked: Project) -> None:
    tracked.edit(lambda params: params.update(trackers=["mlflow"]))
    output = train(tracked, MLFLOW_TRACKING_URI="http://someone:hunter2hunter2@127.0.0.1:9/")
    assert output.count("warning: mlflow: ") == 1 and "training continues" in output
    assert "hunter2" not in output and f"epoch  {EPOCHS}" in output


def test_without_a_login_nothing_is_trained(tracked: Project, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home"), "WANDB_MODE": "online", "NETRC": str(tmp_path / "no")}
    for key in ("", "secret-that-is-not-a-key"):
        done = tracked.run(*COMMAND, check=False, **home, WANDB_API_KEY=key)
        assert done.returncode == 1 and "error: trackers: wandb is not logged in" in done.stdout
        assert "secret-that" not in done.stdout and "epoch" not in done.stdout


def test_files_of_trackers_are_not_lost_on_a_node(tracked: Project) -> None:
    output = train(tracked, PODIUM_TRACKING_DIR="")
    assert "warning: tensorboard, mlflow, wandb, trackio: not used on a node" in output
    folders = ("runs", "mlruns", "wandb", "trackio")
    assert not any((tracked.folder / name).exists() for name in folders)


def test_a_task_on_this_machine_logs_to_the_projects_folder(tracked: Project) -> None:
    folder = tracked.folder / "elsewhere"
    folder.mkdir()
    train(tracked, PODIUM_TRACKING_DIR=str(folder), TRACKIO_DIR=str(folder / "trackio"))
    for read in tracked_runs.READERS.values():
        (run,) = read(folder).values()
        check(tracked, run)
