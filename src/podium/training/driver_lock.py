"""One driver per project: the command that trains its models. Its lock names it to others."""

import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from podium.core import files, paths
from podium.core.errors import UserError

OWNER = paths.CHECKPOINTS / "driver"
FACTS = ("command", "pid", "user", "host", "since")  # of the driver, in its file
VARIABLE = "PODIUM_DRIVER"  # the process id of the driver that has started this process
FIX = "Wait for it, or stop it and rerun: what it has finished is kept."
TIMEOUT_S = 2.0  # to take the lock from a process that only looks whether there is a driver


@contextmanager
def held(command: str) -> Iterator[None]:
    """Be the only driver of the project in the current folder; stages that this process starts
    know that it is theirs.

    Raises:
        UserError: naming the other driver, if there is one.
    """
    OWNER.parent.mkdir(exist_ok=True)
    with _lock():
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        facts = (command, os.getpid(), _user(), socket.gethostname(), since)
        files.write_json(OWNER, dict(zip(FACTS, facts, strict=True)))
        os.environ[VARIABLE] = str(os.getpid())
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            OWNER.unlink(missing_ok=True)


def require_own_driver() -> None:
    """Raises: UserError: if the project has a driver, and it has not started this process."""
    own = os.environ.get(VARIABLE)
    if not _lock_file().exists() or (own is not None and own == str(_owner().get("pid"))):
        return
    with _lock():
        pass


@contextmanager
def _lock() -> Iterator[None]:
    lock = FileLock(_lock_file())
    try:
        lock.acquire(timeout=TIMEOUT_S)
    except Timeout:
        raise UserError(f"This project is being trained by {_describe()}. {FIX}") from None
    try:
        yield
    finally:
        lock.release()


def _lock_file() -> Path:
    return OWNER.with_name("driver.lock")


def _owner() -> dict[str, Any]:
    """What the driver says of itself; of one that was killed, until the next one starts."""
    try:
        owner = json.loads(OWNER.read_bytes())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) and owner.keys() >= {*FACTS} else {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"


def _describe() -> str:
    """The driver that holds the lock, which writes its file a moment after it got it."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        owner = _owner()
        if owner and (owner["host"] != socket.gethostname() or psutil.pid_exists(owner["pid"])):
            return (
                f"`{owner['command']}`, process {owner['pid']} of {owner['user']} on "
                f"{owner['host']} since {owner['since']}"
            )
        if time.monotonic() > deadline:
            return "another process"
        time.sleep(0.05)
