"""`make train ON=kaggle`, with notebooks that really run; trainings only count steps."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import kaggle_notebooks
import kaggle_server
import pytest
import stub_project
from conftest import PROPERTY_SEED, Project
from kaggle_gpu_driver import archive, uploaded
from kaggle_notebooks import Notebooks
from kaggle_server import Fault, Kaggle
from test_wheels import wheel

from commands import kaggle_gpu
from podium.core.errors import UserError
from podium.kaggle.kernel import wheels
from podium.kaggle_gpu import following, log, work
from podium.kaggle_gpu.state import State

pytestmark = pytest.mark.slow
runs_notebooks = pytest.mark.skipif(
    not kaggle_notebooks.available(), reason="no namespaces (unshare) here"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return stub_project.create(tmp_path / "project")


@pytest.fixture
def kaggle(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    """The server; the driver in this process, in the project's folder, talks to it."""
    outside = tmp_path / "outside"
    for name in ("home", "index"):
        (outside / name).mkdir(parents=True)
    (project.folder / "requirements.txt").write_text(wheel(outside / "index", "podium-probe"))
    monkeypatch.setattr(wheels, "PYTHON_VERSIONS", (f"3.{sys.version_info.minor}",))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(outside / "index"))
    with kaggle_server.serve({"shapes": archive(project)}) as server:
        for name, value in server.environment(outside / "home").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", str(outside / "home"))  # tempfile caches it
        monkeypatch.setattr(following, "MAX_PAUSE_SECONDS", 1.0)
        monkeypatch.setattr(log, "RECONNECT_SECONDS", 0.5)
        project.enter(monkeypatch)
        server.service.notebooks = Notebooks(outside / "kaggle")
        yield server
        server.service.notebooks.stop()


def train(*options: str) -> None:
    """`make train ON=kaggle`, in this process."""
    sys.argv = ["kaggle_gpu", *options, "kaggle"]
    kaggle_gpu.main()


@runs_notebooks
def test_results_come_back_and_nothing_private_leaves(
    kaggle: Kaggle, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "a-secret-of-the-user"
    for name in ("custom/kaggle.json", "custom/.env", "src/.netrc", "custom/key.pem"):
        (project.folder / name).write_text(secret)
    kaggle.faults.append(Fault("OUTPUT", status=500, times=2))  # the client stores the answer
    kaggle.faults.append(Fault("OUTPUT", status=403, skip=1))
    train()
    service, printed = kaggle.service, capsys.readouterr()
    (session,) = service.notebooks.sessions
    assert "a-0 | step 2 of a-0" in printed.out and "a-1 | step 2 of a-1" in printed.out
    assert "all models are trained" in printed.out
    assert not project.repro("train", "predict")
    assert not [*project.folder.glob(".checkpoints/a/*/*.ckpt")]
    ((body,),) = service.kernels.values()
    assert body["isPrivate"] is True and body["enableInternet"] is False
    assert body["enableGpu"] is True and body["machineShape"] == "NvidiaTeslaT4"
    assert body["competitionDataSources"] == ["shapes"]
    assert all(body["isPrivate"] is True for body in service.dataset_bodies)
    assert len(service.dataset_bodies) == 2
    everything = b"".join(
        [*uploaded(kaggle), json.dumps(service.kernels).encode(), session.log.encode()]
    )
    for text in (secret, kaggle_server.KEY):
        assert text not in printed.out + printed.err
        assert text.encode() not in everything
    assert b"import hashlib, json, os" in everything  # the code
    assert project.read("files/train.csv") not in everything  # the competition's data
    state = State.load()
    assert state.notebook is None and len(state.uploaded) == 2
    # Nothing is missing, so nothing starts.
    train()
    assert len(service.notebooks.sessions) == 1


@runs_notebooks
def test_a_notebook_without_a_gpu_ends_at_once(kaggle: Kaggle) -> None:
    kaggle.service.notebooks.gives_gpus = False
    with pytest.raises(UserError, match=r"no GPU. Verify your phone number"):
        train()
    assert "check" not in kaggle.service.notebooks.sessions[0].log


@runs_notebooks
@pytest.mark.long
@pytest.mark.usefixtures("kaggle")
def test_a_mistake_of_the_user_ends_with_the_stages_message(project: Project) -> None:
    project.edit(lambda p: p["models"].update(wrong=p["models"]["a"]))
    with pytest.raises(UserError, match=r"wrong-\d: models.wrong: no such optimizer.$"):
        train()
    train("--models", "a")  # the results of the others are kept, or made
    assert not project.repro("train@a-0", "train@a-1")


@runs_notebooks
@pytest.mark.long
def test_other_files_than_here_are_not_trained_on(kaggle: Kaggle, project: Project) -> None:
    train_csv = project.folder / "files/train.csv"
    train_csv.write_text("id,label\n1,b\n")
    kaggle.archives["shapes"] = archive(project)
    train_csv.write_text("id,label\n1,a\n")
    with pytest.raises(UserError, match=r"give other data than yours: data/images\. Download"):
        train()
    assert "Running stage 'train" not in kaggle.service.notebooks.sessions[0].log


@runs_notebooks
@pytest.mark.long
def test_a_notebook_stops_in_time_and_the_next_one_resumes(
    kaggle: Kaggle, project: Project
) -> None:
    (project.folder / "src/stub.json").write_text("[1.0, 110, 3200]")
    train("--hours", str(75 / 3600))
    sessions = kaggle.service.notebooks.sessions
    assert 2 <= len(sessions) <= 4
    assert all("stopping: the time is over" in session.log for session in sessions[:-1])
    resumed = [int(n) for n in re.findall(r"a-0 \| starting after step (\d+)", sessions[1].log)]
    last = [int(n) for n in re.findall(r"step (\d+) of a-0", sessions[0].log)][-1]
    assert last - 10 <= resumed[0] <= last
    assert not project.repro("train", "predict")


@runs_notebooks
@pytest.mark.long
def test_a_notebook_stops_before_its_output_is_full(
    kaggle: Kaggle, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit(lambda p: p["models"].update(b=p["models"]["a"], c=p["models"]["a"]))
    (project.folder / "src/stub.json").write_text("[1.0, 3, 320000]")
    monkeypatch.setattr(work, "OUTPUT_BYTES", 1_000_000)
    kaggle.service.notebooks.max_output = 1_000_000
    train()
    sessions = kaggle.service.notebooks.sessions
    assert len(sessions) > 1 and {session.status for session in sessions} == {"COMPLETE"}
    assert "stopping: the output is full" in sessions[0].log
    assert not project.repro("train", "predict")


@runs_notebooks
@pytest.mark.long
def test_a_driver_that_is_killed_never_starts_a_second_notebook(
    kaggle: Kaggle, project: Project, tmp_path: Path
) -> None:
    """It is killed at five moments, each a random time after a request arrives."""
    (project.folder / "src/stub.json").write_text("[1.0, 20, 3200]")
    random = Random(PROPERTY_SEED)
    command = [sys.executable, "-m", "commands.kaggle_gpu", "kaggle"]
    for kind in ("CreateDataset", "SaveKernel", "GetKernelSessionStatus", "LOG", "OUTPUT"):
        before = len(kaggle.of(kind))
        if kind == "SaveKernel":  # the answer comes when the driver is dead
            kaggle.faults.append(Fault(kind, delay=3.0))
        with (tmp_path / "driver.log").open("a") as output:
            driver = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
            while len(kaggle.of(kind)) == before:
                assert driver.poll() is None, (tmp_path / "driver.log").read_text()
                time.sleep(0.02)
            time.sleep(random.uniform(0, 1.0))
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
        time.sleep(4.0 if kind == "SaveKernel" else 0.0)
    train()
    (session,) = kaggle.service.notebooks.sessions
    assert len(kaggle.service.kernels) == len([r for r in kaggle.of("SaveKernel") if r.status]) == 1
    for fold in (0, 1):
        steps = re.findall(rf"step (\d+) of a-{fold}", session.log)
        assert [int(step) for step in steps] == [*range(1, 21)]
    assert not project.repro("train", "predict")
