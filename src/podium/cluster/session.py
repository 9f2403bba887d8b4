"""What commands that use a cluster share: one driver per project, settings of all tasks."""

import contextlib
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator

from filelock import FileLock, Timeout

from podium.core import files, paths
from podium.core.errors import UserError

# Settings of this machine's user that apply to each training run.
PASSED_ON = ("PODIUM_WORKERS", "PODIUM_CACHE_MIB")
CHECKPOINT_MINUTES = "1"


@contextlib.contextmanager
def only_driver(description: str) -> Iterator[None]:
    """Raises: UserError: naming the other driver, if there is one for this project."""
    owner = paths.CHECKPOINTS / "driver"
    owner.parent.mkdir(exist_ok=True)
    lock = FileLock(owner.with_name("driver.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        text = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
        raise UserError(
            f"This project is being trained by {text}. Wait for it, or stop it."
        ) from None
    try:
        who = f"process {os.getpid()} of {getpass.getuser()} on {socket.gethostname()}"
        files.write_text(owner, f"{who} with {description}")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


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
