"""Parallel trainings: their GPUs, and how they end."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import fork_server
import pytest
import trainings
from conftest import Project

from podium.core import machine
from podium.training import driver_lock

pytestmark = pytest.mark.slow  # runs stages, or trains again and again

DVC = """#!/bin/sh
echo "$@ cores $PODIUM_CORES threads $OMP_NUM_THREADS with $PODIUM_CACHE_MIB MiB on \
${CUDA_VISIBLE_DEVICES-none}"
case "$*" in *train@a-1*) sleep 0.2; exit 1;; *) sleep 0.2;; esac
"""


@pytest.fixture
def recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a `dvc` that only prints its arguments."""
    _program(project.folder / "bin" / "dvc", DVC)
    monkeypatch.setenv("PATH", f"{project.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return project


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def run(project: Project, *jobs: str) -> "subprocess.CompletedProcess[str]":
    """`make train`, but for make: conftest's own way puts our real dvc first."""
    return subprocess.run(
        [fork_server.programs() / "python", "-m", "commands.jobs", *jobs],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )


def four_folds(project: Project) -> None:
    project.edit(lambda params: params["folds"].update(count=4, run=[0, 2, 3]))


def test_each_training_gets_a_gpu_of_those_that_may_be_used(
    recorded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_folds(recorded)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    output = run(recorded).stdout
    assert output.startswith("--wait-for-lock repro folds ") and " on 3, 5\n" in output
    lines = [line for line in output.splitlines() if line.startswith("train@")]
    assert [line.partition(" | ")[0] for line in lines] == ["train@a-0", "train@a-2", "train@a-3"]
    assert [line.rpartition(" on ")[2] for line in lines] in (["3", "5", "3"], ["3", "5", "5"])
    assert "--wait-for-lock repro --single-item train@a-0 cores" in lines[0]


def test_models_of_all_folds_train_after_all_of_the_folds(recorded: Project) -> None:
    recorded.edit(lambda params: params["folds"].update(count=3, run=[0, 2], all=["a"]))
    lines = run(recorded, "8").stdout.splitlines()[1:]
    names = [line.partition(" | ")[0] for line in lines]
    assert sorted(names[:2]) == ["train@a-0", "train@a-2"] and names[2:] == ["train_all@a"]


def test_trainings_share_cores_and_memory(
    recorded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "PODIUM_CORES", "OMP_NUM_THREADS", "PODIUM_CACHE_MIB"

    def shares(*jobs: str) -> list[list[str]]:
        """The values of the variables `names` in each training run."""
        lines = run(recorded, *jobs).stdout.splitlines()[1:]
        return [re.findall(r"(?:cores|threads|with) (\d*) ", line) for line in lines]

    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert shares("1") == [["", "", ""]] * 2  # one at a time has all of them
    cores = str(max(1, machine.cores() // 2))
    for shared in shares("8"):  # as there are two runs
        assert shared[:2] == [cores, cores]
        assert int(shared[2]) == pytest.approx(machine.cache_bytes() / 2**21, rel=0.2)
    for name, value in zip(names, ("9", "3", "100"), strict=True):
        monkeypatch.setenv(name, value)
    assert shares("2") == [["4", "3", "100"]] * 2


def test_the_share_of_the_cores_is_that_of_the_loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODIUM_WORKERS", raising=False)
    monkeypatch.setenv("PODIUM_CORES", "3")
    assert (machine.loader_workers("cuda"), machine.loader_workers("cpu")) == (3, 0)
    assert machine.worker_count() == 3
    monkeypatch.setenv("PODIUM_WORKERS", "5")
    assert machine.loader_workers("cuda") == machine.worker_count() == 5


def test_it_outlives_the_shell_that_started_it(recorded: Project) -> None:
    command = (
        f"nohup {sys.executable} -m commands.jobs 1 >log 2>&1 & until grep -q a-0 log; do :; done"
    )
    subprocess.run(["sh", "-c", command], cwd=recorded.folder, check=True)
    log = recorded.folder / "log"
    for _ in range(100):
        if "1 of 2 training runs failed" in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_without_the_variable_the_gpus_are_those_of_nvidia_smi(
    recorded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_folds(recorded)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    _program(recorded.folder / "bin" / "nvidia-smi", "#!/bin/sh\necho GPU-aa; echo GPU-bb")
    assert {line.rpartition(" on ")[2] for line in run(recorded).stdout.splitlines()[1:]} == {
        "GPU-aa",
        "GPU-bb",
    }
    _program(recorded.folder / "bin" / "nvidia-smi", "#!/bin/sh\necho no driver; exit 9")
    assert run(recorded).stdout.count(" on none") == 4


def test_the_error_names_the_failed_training_and_the_others_run(recorded: Project) -> None:
    done = run(recorded, "1")
    assert done.returncode == 1
    assert done.stdout.count("repro --single-item train@") == 2
    assert (
        done.stderr
        == "error: 1 of 2 training runs failed: train@a-1. Fix the errors above and rerun.\n"
    )


def test_a_number_of_jobs_that_is_none_is_an_error(recorded: Project) -> None:
    done = run(recorded, "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: JOBS must be at least 1, not 0. Set a higher number.\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds trainings by /proc")
@pytest.mark.thorough
def test_asked_to_end_it_waits_for_the_checkpoints_and_starts_nothing_more(
    project: Project,
) -> None:
    def longer(params: dict) -> None:  # type: ignore[type-arg]
        params["models"]["a"]["phases"] = [{"epochs": 40, "lr": 0.005}]

    project.edit(longer)
    project.repro("folds")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [sys.executable, "-m", "commands.jobs", "1"],
        cwd=project.folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch   5" in line:
                break
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        rest, _ = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == 75, rest
    assert "train@a-0 | interrupted by SIGTERM" in rest and "train@a-1" not in rest
    assert rest.endswith("interrupted by SIGTERM; rerun to resume\n")
    assert list((project.folder / ".checkpoints/a/fold0").glob("*.ckpt"))
    done = project.run("dvc", "repro", "train@a-0").stdout
    assert "resuming from checkpoint at step " in done


@pytest.mark.skipif(sys.platform != "linux", reason="the status of killed processes")
@pytest.mark.long
def test_beside_a_training_run_of_dvc_repro_it_does_not_train(prepared: Project) -> None:
    training = trainings.start(prepared)
    training.send_signal(signal.SIGSTOP)  # it must not end on a fast machine
    try:
        done = prepared.stage("jobs", "1")
    finally:
        training.kill()
        training.communicate()
    expected = f"error: `dvc repro` is training a-0 (process {training.pid}) on "
    assert done.returncode == 1 and done.stdout.startswith(expected), done.stdout


def test_a_training_run_of_dvc_repro_refuses_to_start_beside_a_driver(
    prepared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    with driver_lock.held("make train"):
        other = {driver_lock.VARIABLE: ""}
        done = prepared.stage("train", "--model", "a", "--fold", "0", **other)
    assert done.returncode == 1 and f"`make train`, process {os.getpid()} of " in done.stdout
    assert not (prepared.folder / ".checkpoints/a/fold0").exists()
