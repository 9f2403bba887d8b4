"""Real trainings on a real Ray cluster of two nodes on this machine: the bytes of a local run,
whatever fails on the way.
"""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import PROPERTY_SEED, ROOT, Project
from loopback import Loopback
from photos_project import project as new_project
from watched_log import WatchedLog

pytest.importorskip("ray", reason="needs Ray: `make test-cluster`")
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.cluster, pytest.mark.timeout(1800)]

RESULTS = ("submissions/*.csv", "models/*/*/weights.safetensors", "data/predictions/*/*/*")
EPOCHS = 40
SECONDS_PER_EPOCH = 0.25
LONGEST_DELAY = 6.0  # seconds from the moment when a training run is known to go on to the fault
FAULTS = ("task", "node", "freeze", "driver")
UNSAFE_HEAD = """import os, shlex, sys
options = shlex.split(os.environ["PODIUM_NODE_ARGS"])
os.environ["RAY_AUTH_MODE"] = "disabled"
start = ("-m", "ray.scripts.scripts", "start", "--head", "--block", *options)
os.execv(sys.executable, [sys.executable, *start])"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Loopback]:
    loopback = Loopback(TEST_SECONDS_PER_EPOCH=str(SECONDS_PER_EPOCH))
    try:
        loopback.add("one", "127.0.0.3")
        loopback.add("two", "127.0.0.4")
        yield loopback
    finally:
        loopback.close()


def results(project: Project) -> dict[str, bytes]:
    paths = [path for pattern in RESULTS for path in project.folder.glob(pattern)]
    assert len(paths) == 1 + 7 + 6 * 2 + 1
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in paths}


def prepared(folder: Path, data: str, epochs: int) -> tuple[Project, dict[str, bytes]]:
    """A project up to its folds, and the results of a run without a cluster."""
    project = new_project(folder / "project", data, epochs)
    shutil.copy(ROOT / "requirements.txt", project.folder)
    local = project.copy(folder / "local")
    local.repro()
    return project, results(local)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, bytes]]:
    return prepared(tmp_path_factory.mktemp("photos"), "photos", EPOCHS)


def check(project: Project, expected: dict[str, bytes]) -> None:
    """`dvc repro` trains nothing, and the results are those of a run without a cluster."""
    ran = project.repro()
    assert not [name for name in ran if name.startswith(("train", "predict"))]
    assert results(project) == expected


def test_results_are_those_of_a_local_run(cluster: Loopback, tmp_path: Path) -> None:
    folder = tmp_path / "Übung 1, it's here"
    folder.mkdir()
    project, expected = prepared(folder, "digits", epochs=1)
    log = WatchedLog(tmp_path / "log")
    process = cluster.train(project, log.path)
    try:
        log.wait_for("join with", process)
        assert f"join with `make node HEAD={cluster.address}`" in log.text
        log.wait_for("Running stage 'train@", process)  # the driver does not use DVC now
        beside = [project.run("dvc", "repro", "train@b-2", check=False).stdout]  # trained last
        second = cluster.train(project, tmp_path / "second")
        search = ("search", "a", "--set=dropout=float:0:0.5")
        beside += [project.stage("jobs").stdout, project.stage(*search).stdout]
        assert second.wait(timeout=120) == 1
        beside.append((tmp_path / "second").read_text())
        who = f"by `make train CLUSTER={cluster.address}`, process {process.pid} of "
        assert all(text.count(who) == 1 for text in beside), beside
        assert process.wait(timeout=600) == 0, log.text
    finally:
        process.kill()
        process.wait()
    check(project, expected)
    assert log.text.count("Running stage 'train@") == log.text.count("Running stage 'predict@") == 6
    assert log.text.count("Running stage 'train_all@b'") == 1
    token = cluster.token()
    written = [log.path, *cluster.folder.rglob("*.log"), *cluster.folder.rglob("*.out"),
               *cluster.folder.rglob("*.err")]  # fmt: skip
    assert len(written) > 5 and not [path for path in written if token in path.read_text()]
    assert not [*(cluster.folder / "one/tasks").glob("*.lock")]


class Faults:
    """Strikes a driver, its nodes and tasks."""

    def __init__(self, cluster: Loopback, project: Project, log: WatchedLog) -> None:
        self.cluster, self.project, self.log = cluster, project, log
        self.process = cluster.train(project, log.path)

    def strike(self, fault: str) -> None:
        """Returns when what was lost has started again."""
        getattr(self, f"_{fault}")()

    def _task(self) -> None:
        inside = [
            process
            for process in psutil.process_iter(["cwd", "cmdline"])
            if f"{self.cluster.folder}/two/tasks" in (process.info["cwd"] or "")
        ]
        stages = [p for p in inside if {"src/train.py", "src/predict.py"} & {*p.info["cmdline"]}]
        if inside:  # else it has just ended
            (stages or inside)[0].kill()

    def _node(self) -> None:
        self.cluster.signal("two", signal.SIGKILL)
        self._wait_until_lost()

    def _freeze(self) -> None:
        self.cluster.signal("two", signal.SIGSTOP)
        self._wait_until_lost()
        self.cluster.signal("two", signal.SIGCONT)  # its late results are ignored

    def _wait_until_lost(self) -> None:
        start = time.monotonic()
        self.log.wait_for("(127.0.0.4) is lost", self.process)
        assert time.monotonic() - start < 15
        self.cluster.remove("two")
        self.cluster.add("two", "127.0.0.4")

    def _driver(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = self.cluster.train(self.project, self.log.path)


@pytest.mark.parametrize("number", range(3))
def test_whatever_fails_at_random_moments_less_than_a_minute_is_lost(
    number: int, cluster: Loopback, photos: tuple[Project, dict[str, bytes]], tmp_path: Path
) -> None:
    prepared_project, expected = photos
    choose = random.Random(PROPERTY_SEED + number)
    project, log = prepared_project.copy(tmp_path / "project"), WatchedLog(tmp_path / "log")
    faults = Faults(cluster, project, log)
    try:
        for fault in choose.sample(FAULTS, len(FAULTS)):
            log.wait_for_epochs(2, faults.process)
            time.sleep(choose.uniform(0, LONGEST_DELAY))
            log.note(fault)
            faults.strike(fault)
        assert faults.process.wait(timeout=900) == 0, log.text
    finally:
        faults.process.kill()
        faults.process.wait()
    check(project, expected)
    lost = log.lost_seconds()
    print(f"PODIUM_TEST_SEED={PROPERTY_SEED}, lost: {lost}")
    assert max(lost.values(), default=0) < 60, log.text


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


def test_a_head_that_asks_for_no_token_is_rejected(
    photos: tuple[Project, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopback.COMMAND", ("-c", UNSAFE_HEAD))
    monkeypatch.setattr("loopback.READY", "Ray runtime started")
    unsafe = Loopback()
    try:
        log = tmp_path / "log"
        (unsafe.folder / ".ray").mkdir()
        (unsafe.folder / ".ray/auth_token").write_text("token")
        (unsafe.folder / ".ray/auth_token").chmod(0o600)
        assert unsafe.train(photos[0], log).wait(timeout=120) == 1
        assert "runs what anyone sends it" in log.read_text()
    finally:
        unsafe.close()
    assert not [p for p in psutil.process_iter(["environ"])
                if str(unsafe.folder) in str((p.info["environ"] or {}).get("HOME"))]  # fmt: skip
