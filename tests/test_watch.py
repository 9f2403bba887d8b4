"""Loaders that hang or die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Project
from test_checkpoints import prepared, start  # noqa: F401  a fixture
from test_loading import epoch, images  # noqa: F401  a fixture

from podium import loading, watch
from podium.errors import UserError


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_in_time_is_named(
    images: Callable[..., loading.Images],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    made = images()
    decode = made.store.decode
    monkeypatch.setattr(watch, "PATIENCE", 0.1)
    monkeypatch.setattr(
        made.store, "decode", lambda image: (time.sleep(30 * (image == "13")), decode(image))[1]
    )
    loader = loading.in_order(made, 4, workers=workers)
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"image 13 in .* is not there after 0.2 seconds"):
        epoch(loader, 1)
    assert time.monotonic() - begun < 20


def test_a_process_that_was_suspended_is_forgiven() -> None:
    """Its timer ran on, and rings as soon as it goes on."""
    with watch.each() as begin:
        begin("x")
        os.kill(os.getpid(), signal.SIGALRM)
        begin("y")
        os.kill(os.getpid(), signal.SIGALRM)
        with pytest.raises(UserError, match="y is not there after 120 seconds"):
            os.kill(os.getpid(), signal.SIGALRM)


def test_it_leaves_the_systems_timer_as_it_was() -> None:
    before, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with watch.each() as begin:
        begin("x")
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(left[0], abs=5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the loader as a child process")
def test_a_training_whose_loader_is_killed_says_so_and_goes_on(
    prepared: Project,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = prepared.copy(tmp_path / "whole")
    command = ("train", "--model", "a", "--fold", "0")
    assert whole.stage(*command).returncode == 0
    monkeypatch.setenv("PODIUM_WORKERS", "2")
    process = start(prepared)
    loaders = psutil.Process(process.pid).children(recursive=True)
    loaders[0].kill()
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: a process that loads images was lost: DataLoader worker (pid" in told
    assert "Traceback" not in told.rpartition("epoch")[2]
    assert not any(loader.is_running() for loader in loaders[1:])
    done = prepared.stage(*command)
    assert done.returncode == 0 and "going on from a checkpoint after " in done.stdout
    name = "models/a/fold0/weights.safetensors"
    assert prepared.read(name) == whole.read(name)


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", f"from podium import stage, errors\n{code}"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stage_ends_with_one_line_and_a_status() -> None:
    done = run("def main(): raise errors.UserError('no luck')\nstage.run(main)")
    assert (done.returncode, done.stderr) == (1, "error: no luck\n")
    done = run("def main(): raise KeyboardInterrupt\nstage.run(main)")
    told = "stopped by SIGINT: run it again, and it goes on from here\n"
    assert (done.returncode, done.stderr) == (75, told)
    done = run("def main(): raise RuntimeError('a bug')\nstage.run(main)")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "from podium import stage\ndef main(): print('x\\n' * 100_000)\nstage.run(main)"
    done = subprocess.run(
        f'{sys.executable} -c "$CODE" | head -1',
        shell=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "CODE": code},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("x\n", "")
