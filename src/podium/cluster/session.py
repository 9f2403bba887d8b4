"""What commands that train share: one driver per project, settings of all tasks."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from podium.core.errors import UserError, examples
from podium.training import driver_lock, status

# Settings of this machine's user that apply to each training run.
PASSED_ON = ("PODIUM_WORKERS", "PODIUM_CACHE_MIB")
CHECKPOINT_MINUTES = "1"
STOP_SECONDS = 10.0  # of a training run, after the death of the process that started it


@contextlib.contextmanager
def only_driver(command: str) -> Iterator[None]:
    """Be the only process that trains models of this project, as the `command` that users know.

    Raises:
        UserError: naming another driver, or training runs that `dvc repro` has started.
    """
    with driver_lock.held(command):
        _wait_for_stages()
        yield


def _wait_for_stages() -> None:
    """Give the training runs of a driver that was killed time to write their checkpoints."""
    deadline = time.monotonic() + STOP_SECONDS
    while running := [run for run in status.running(Path.cwd()) if _is_here(run)]:
        if time.monotonic() > deadline:
            names = [f"{run.model}-{run.fold} (process {run.pid})" for run in running]
            raise UserError(
                f"`dvc repro` is training {examples(names)} on {socket.gethostname()}. "
                f"{driver_lock.FIX}"
            )
        time.sleep(0.1)


def _is_here(run: status.Status) -> bool:
    """Whether it trains in this folder, not in the copy that `dvc exp run --temp` works in."""
    try:
        return Path(psutil.Process(run.pid).cwd()) == Path.cwd()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # of another user
        return True


def reproduce_folds() -> None:
    """Bring all stages before training up to date.

    Raises:
        UserError: if one fails.
    """
    if subprocess.run(["dvc", "--wait-for-lock", "repro", "folds"], check=False).returncode != 0:
        raise UserError("`dvc repro folds` failed. Fix the error above and rerun.")


def environment() -> dict[str, str]:
    """What the training runs on all nodes share: on a CPU, the number of threads changes bytes."""
    import torch

    return {
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "PODIUM_CHECKPOINT_MINUTES": os.environ.get(
            "PODIUM_CHECKPOINT_MINUTES", CHECKPOINT_MINUTES
        ),
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
    }
