"""One driver per project, and who it is."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trainings import WITH_SRC

from podium.core.errors import UserError
from podium.training import driver_lock

DRIVER = """
import sys, time
from podium.core import program
from podium.training import driver_lock

def main():
    with driver_lock.held("make train CLUSTER=first:6379"):
        print("holds", flush=True)
        time.sleep(float(sys.argv[1]))

program.run(main)
"""
STAGE = """
from podium.core import program
from podium.training import driver_lock

program.run(driver_lock.require_own_driver)
"""
Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(code: str, *arguments: str) -> Process:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=WITH_SRC,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def driver() -> Iterator[Process]:
    process = start(DRIVER, "60")
    assert process.stdout is not None and process.stdout.readline() == "holds\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_driver_and_the_stages_of_dvc_repro_say_who_trains(driver: Process) -> None:
    expected = (
        rf"error: This project is being trained by `make train CLUSTER=first:6379`, process "
        rf"{driver.pid} of \S+ on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\. Wait for it"
    )
    for other in (start(DRIVER, "0"), start(STAGE)):
        output, _ = other.communicate()
        assert other.returncode == 1 and re.match(expected, output), output


def test_the_stages_that_a_driver_starts_are_its_own() -> None:
    driver_lock.require_own_driver()  # there is none
    assert not Path(".checkpoints").exists()
    with driver_lock.held("make train"):
        driver_lock.require_own_driver()
        environment = {**WITH_SRC, driver_lock.VARIABLE: os.environ[driver_lock.VARIABLE]}
        subprocess.run([sys.executable, "-c", STAGE], check=True, env=environment)
    driver_lock.require_own_driver()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_driver_that_was_killed_is_none(driver: Process) -> None:
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert driver_lock.OWNER.exists()
    driver_lock.require_own_driver()
    with driver_lock.held("make train"):
        pass
    assert not driver_lock.OWNER.exists()


def test_of_drivers_that_start_at_once_one_trains_and_the_others_name_it() -> None:
    driver_lock.OWNER.parent.mkdir()
    driver_lock.OWNER.write_text('{"pid": 999999999, "host": "x"')  # of one that was killed
    drivers = [start(DRIVER, "6") for _ in range(4)]
    outputs = {process.pid: process.communicate()[0] for process in drivers}
    (winner,) = [pid for pid, text in outputs.items() if text == "holds\n"]
    for pid, text in outputs.items():
        assert pid == winner or f"process {winner} of" in text, outputs


def test_a_stage_that_looks_does_not_stop_a_driver_from_starting() -> None:
    with driver_lock.held("make train"):
        pass
    stages = [start(STAGE) for _ in range(4)]
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        with driver_lock.held("make train"):
            pass
    assert all("error: This project" in text or not text
               for text in (stage.communicate()[0] for stage in stages))  # fmt: skip


def test_damaged_files_of_a_driver_are_ignored() -> None:
    driver_lock.OWNER.parent.mkdir()
    (driver_lock.OWNER.with_name("driver.lock")).touch()
    for content in (b"", b"\xff", b"[]", b'"x"', b"{}"):
        driver_lock.OWNER.write_bytes(content)
        driver_lock.require_own_driver()
    with driver_lock.held("make train"), pytest.raises(UserError, match="process"):
        driver_lock.OWNER.write_bytes(b"{}")
        driver_lock.require_own_driver()
