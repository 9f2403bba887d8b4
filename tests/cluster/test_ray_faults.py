"""The driver and Ray when nodes fail, with trainings that only wait. CI runs one of these."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from loopback import Loopback, heed_hangup

pytest.importorskip("ray", reason="needs Ray: `make test-cluster`")
pytestmark = [pytest.mark.slow, pytest.mark.cluster]

JOBS = 4
ARRIVED = "arrived " + " ".join(f"m-{fold}:1" for fold in range(JOBS))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Loopback]:
    loopback = Loopback()
    try:
        loopback.add("one", "127.0.0.3")
        yield loopback
    finally:
        loopback.close()


def driver(cluster: Loopback, log: Path, *, seconds: int) -> "subprocess.Popen[bytes]":
    """The driver, with four jobs."""
    script = Path(__file__).with_name("stub_run.py")
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, script, cluster.address, str(JOBS), str(seconds)],
            env=cluster.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=heed_hangup,  # noqa: PLW1509
        )


@pytest.fixture
def run(cluster: Loopback, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The driver, with four jobs of three seconds, and its log."""
    cluster.add("two", "127.0.0.4")
    log = tmp_path / "log"
    process = driver(cluster, log, seconds=3)
    yield process, log
    process.kill()
    process.wait()
    cluster.remove("two")


def wait_for(texts: tuple[str, ...], log: Path) -> None:
    deadline = time.monotonic() + 90
    while not all(text in log.read_text() for text in texts):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_jobs_of_a_lost_node_run_elsewhere(
    number: int, cluster: Loopback, run: tuple["subprocess.Popen[bytes]", Path]
) -> None:
    process, log = run
    wait_for(("m-0 | step 1", "m-1 | step 1"), log)
    cluster.signal("two", number)
    lost = time.monotonic()
    wait_for(("(127.0.0.4) is lost", "runs again"), log)
    assert time.monotonic() - lost < 15
    if number == signal.SIGSTOP:
        cluster.signal("two", signal.SIGCONT)  # its late result is ignored
    assert process.wait(timeout=60) == 0, log.read_text()
    assert log.read_text().splitlines()[-1] == ARRIVED


@pytest.mark.long
def test_a_killed_task_runs_again(
    cluster: Loopback, run: tuple["subprocess.Popen[bytes]", Path]
) -> None:
    process, log = run
    wait_for(("m-0 | step 1", "m-1 | step 1"), log)
    inside = psutil.Process(cluster.processes["two"].pid).children(recursive=True)
    (worker,) = (child for child in inside if "ray::_run" in child.name() + str(child.cmdline()))
    worker.kill()
    wait_for(("runs again",), log)
    assert process.wait(timeout=60) == 0, log.read_text()
    assert log.read_text().splitlines()[-1] == ARRIVED


@pytest.mark.long
@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGHUP,)])
def test_ctrl_c_ends_the_tasks(
    cluster: Loopback, run: tuple["subprocess.Popen[bytes]", Path], numbers: tuple[int, ...]
) -> None:
    process, log = run
    wait_for(("m-0 | step 1", "m-1 | step 1"), log)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.2)
    assert process.wait(timeout=20) == 0, log.read_text()
    assert f"stopped by {signal.Signals(numbers[0]).name}" in log.read_text()
    inside = psutil.Process(cluster.processes["two"].pid).children(recursive=True)
    assert not [child for child in inside if "ray::_run" in str(child.cmdline())]


@pytest.mark.long
def test_when_the_head_is_gone_the_driver_ends_and_says_so(
    cluster: Loopback, tmp_path: Path
) -> None:
    """The last test of this module: it has no cluster any more."""
    log = tmp_path / "log"
    process = driver(cluster, log, seconds=100)
    try:
        wait_for(("m-0 | step 1",), log)
        cluster.signal("head", signal.SIGKILL)
        assert process.wait(timeout=45) == 1
    finally:
        process.kill()
        process.wait()
    assert f"the head at {cluster.address} is gone. Start it again" in log.read_text()
