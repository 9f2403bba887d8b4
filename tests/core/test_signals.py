"""What happens to a stage that gets a signal, or whose parent process ends."""

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trainings import WITH_SRC

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")

STAGE = """
import sys, time
from pathlib import Path
from podium.core import program, signals

def main():
    Path("started").touch()
    for _ in range(40):
        time.sleep(0.02)
        signals.raise_if_stopped()
    Path("finished").touch()

def resumable():
    with signals.deferred():
        main()

program.run(main if sys.argv[1] == "plain" else resumable)
"""
# The shell ends as soon as the stage runs.
SHELL = 'nohup {python} -c "$STAGE" {kind} 2>errors & while [ ! -e started ]; do sleep 0.01; done'


def run_from_a_shell_that_exits(folder: Path, kind: str, **environment: str) -> list[str]:
    """The files in `folder` once the stage has ended, and its exit messages as a file `errors`."""
    command = SHELL.format(python=shlex.quote(sys.executable), kind=kind)
    subprocess.run(
        ["setsid", "sh", "-c", command],
        cwd=folder,
        env={**WITH_SRC, "STAGE": STAGE, **environment},
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    start = time.monotonic()
    while time.monotonic() - start < 1.5 and not (folder / "finished").exists():
        time.sleep(0.05)
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("kind", ["plain", "resumable"])
def test_a_stage_started_in_a_shell_outlives_it(tmp_path: Path, kind: str) -> None:
    assert "finished" in run_from_a_shell_that_exits(tmp_path, kind)


def test_a_stage_run_by_dvc_dies_with_it(tmp_path: Path) -> None:
    assert "finished" not in run_from_a_shell_that_exits(tmp_path, "plain", DVC_STAGE="train")
    assert (tmp_path / "errors").read_text() == ""


def test_a_training_run_by_dvc_stops_when_dvc_dies(tmp_path: Path) -> None:
    assert "finished" not in run_from_a_shell_that_exits(tmp_path, "resumable", DVC_STAGE="train")
    assert "interrupted by the exit of DVC; rerun to resume" in (tmp_path / "errors").read_text()


LATE = """
import os, signal
from podium.core import program, signals

def main():
    with signals.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        signals.raise_if_stopped()

def then_dvc_dies():
    try:
        main()
    finally:
        os.kill(os.getpid(), signal.SIGUSR1)

program.run(then_dvc_dies)
"""


def run_code(code: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**WITH_SRC, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


INTERRUPTED = (75, "", "interrupted by SIGTERM; rerun to resume\n")


def test_the_death_of_dvc_during_the_exit_does_not_silence_it() -> None:
    assert run_code(LATE, DVC_STAGE="train") == INTERRUPTED


def test_a_second_signal_ends_the_process_at_once() -> None:
    code = (
        "import os, signal; from podium.core import signals; n = signals.deferred(); n.__enter__();"
        "os.kill(os.getpid(), signal.SIGTERM); assert signals.stop_requested();"
        "print('noted', flush=True);"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    assert run_code(code) == (-signal.SIGTERM, "noted\n", "")


def test_a_signal_to_the_group_is_reported_rather_than_the_parents_death() -> None:
    code = (
        "import os, signal; from podium.core import signals, program; n = signals.deferred();"
        "n.__enter__(); both = {signal.SIGUSR1, signal.SIGTERM};"
        "signal.pthread_sigmask(signal.SIG_BLOCK, both);"
        "[os.kill(os.getpid(), number) for number in both];"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, both); program.run(signals.raise_if_stopped)"
    )
    assert run_code(code, DVC_STAGE="train@a-0") == INTERRUPTED
