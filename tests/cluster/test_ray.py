"""Real clusters of two nodes: bytes, kills, freezes, the token. Skipped where Ray is missing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Project
from loopback import Loopback

pytest.importorskip("ray", reason="needs Ray: `make test-cluster`")
pytestmark = [pytest.mark.slow, pytest.mark.cluster]

RESULTS = ("submissions/*.csv", "models/*/*/weights.safetensors", "data/predictions/*/*/*")
EPOCHS = 60
UNSAFE_HEAD = """import os, shlex, sys
options = shlex.split(os.environ["PODIUM_NODE_ARGS"])
os.environ["RAY_AUTH_MODE"] = "disabled"
start = ("-m", "ray.scripts.scripts", "start", "--head", "--block", *options)
os.execv(sys.executable, [sys.executable, *start])"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Loopback]:
    loopback = Loopback()
    try:
        loopback.add("one", "127.0.0.3")
        loopback.add("two", "127.0.0.4")
        yield loopback
    finally:
        loopback.close()


@pytest.fixture(scope="module")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two models, up to the folds."""
    project = Project(tmp_path_factory.mktemp("prepared") / "project")

    def change(params: dict) -> None:  # type: ignore[type-arg]
        params["models"]["a"]["phases"] = [{"epochs": EPOCHS, "lr": 0.005}]
        params["models"]["b"] = {**params["models"]["a"], "phases": [{"epochs": 2, "lr": 0.005}]}
        params["ensemble"]["members"] = ["a", "b"]

    project.edit(change)
    shutil.copy(ROOT / "requirements.txt", project.folder)
    project.repro("folds")
    return project


@pytest.fixture(scope="module")
def local(prepared_once: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of a run without a cluster."""
    project = prepared_once.copy(tmp_path_factory.mktemp("local") / "project")
    project.repro()
    return results(project)


def results(project: Project) -> dict[str, bytes]:
    paths = [path for pattern in RESULTS for path in project.folder.glob(pattern)]
    assert len(paths) == 1 + 4 + 4 * 2
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in paths}


def wait_for(
    text: str, log: Path, process: "subprocess.Popen[bytes]", seconds: float = 180
) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def finish(project: Project, log: Path, process: "subprocess.Popen[bytes]") -> str:
    """The output of the driver, after which `dvc repro` trains nothing."""
    assert process.wait(timeout=300) == 0, log.read_text()
    ran = project.repro()
    assert not [name for name in ran if name.startswith(("train@", "predict@"))]
    return log.read_text()


@pytest.fixture
def started(
    cluster: Loopback, prepared_once: Project, tmp_path: Path
) -> Iterator[tuple[Project, Path, "subprocess.Popen[bytes]"]]:
    project, log = prepared_once.copy(tmp_path / "project"), tmp_path / "log"
    process = cluster.train(project, log)
    yield project, log, process
    process.kill()
    process.wait()


def training(cluster: Loopback, name: str) -> psutil.Process:
    """The process that trains model a on a node."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = process.info["cmdline"] or []
        if "src/train.py" in command and str(cluster.folder / name) in (process.info["cwd"] or ""):
            return process
    raise AssertionError(f"nothing trains on {name}")


def test_results_are_those_of_a_local_run(
    cluster: Loopback,
    started: tuple[Project, Path, "subprocess.Popen[bytes]"],
    local: dict[str, bytes],
) -> None:
    project, log, process = started
    wait_for("join with", log, process)
    second = cluster.train(project, project.folder.parent / "second")
    assert second.wait(timeout=60) == 1
    message = (project.folder.parent / "second").read_text()
    assert f"is being trained by process {process.pid} of " in message
    output = finish(project, log, process)
    assert results(project) == local
    assert output.count("Running stage 'train@") == output.count("Running stage 'predict@") == 4
    token = cluster.token()
    written = [log, *cluster.folder.rglob("*.log"), *cluster.folder.rglob("*.out"),
               *cluster.folder.rglob("*.err")]  # fmt: skip
    assert len(written) > 5 and not [path for path in written if token in path.read_text()]
    assert not [*(cluster.folder / "one/tasks").iterdir()]


@pytest.mark.thorough
@pytest.mark.parametrize("victim", ["task", "driver"])
def test_it_resumes_from_a_checkpoint(
    victim: str,
    cluster: Loopback,
    started: tuple[Project, Path, "subprocess.Popen[bytes]"],
    local: dict[str, bytes],
) -> None:
    project, log, process = started
    checkpoints = project.folder / ".checkpoints/a"
    wait_for("epoch  10", log, process)
    while not [*checkpoints.rglob("*.ckpt")]:
        time.sleep(0.1)
    if victim == "driver":
        process.kill()
        process.wait()
        log = log.with_name("again")
        process = cluster.train(project, log)
    else:
        training(cluster, "one").kill()
    output = finish(project, log, process)
    assert "resuming from checkpoint at step" in output
    assert results(project) == local


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_node_is_replaced(
    number: int,
    cluster: Loopback,
    started: tuple[Project, Path, "subprocess.Popen[bytes]"],
    local: dict[str, bytes],
) -> None:
    cluster.add("three", "127.0.0.5")
    project, log, process = started
    wait_for("node vm (127.0.0.5)".replace("vm", os.uname().nodename), log, process)
    wait_for("epoch  10", log, process)
    cluster.signal("three", number)
    lost = time.monotonic()
    wait_for("(127.0.0.5) is lost", log, process)
    assert time.monotonic() - lost < 15
    cluster.signal("three", signal.SIGCONT)
    finish(project, log, process)
    assert results(project) == local


def test_a_client_without_the_token_gets_nothing(cluster: Loopback) -> None:
    code = "import sys, ray._raylet as r; print(r.GcsClient(sys.argv[1]).get_all_node_info(10))"
    for mode in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a"}):
        done = subprocess.run(
            [sys.executable, "-c", code, cluster.address],
            env={**cluster.environment, **mode},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0 and "127.0.0" not in done.stdout
        assert "nauthenticated" in done.stderr or "uthentication" in done.stderr, done.stderr


@pytest.mark.thorough
def test_a_head_that_asks_for_no_token_is_rejected(
    prepared_once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopback.COMMAND", ("-c", UNSAFE_HEAD))
    unsafe = Loopback()
    try:
        log = tmp_path / "log"
        (unsafe.folder / ".ray").mkdir()
        (unsafe.folder / ".ray/auth_token").write_text("token")
        (unsafe.folder / ".ray/auth_token").chmod(0o600)
        assert unsafe.train(prepared_once, log).wait(timeout=60) == 1
        assert "runs what anyone sends it" in log.read_text()
    finally:
        unsafe.close()
