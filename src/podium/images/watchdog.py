"""A timeout: a process that hangs exits with a message that names the task."""

import os
import sys
import threading
import time

TIMEOUT_SECONDS = 120.0  # an image takes milliseconds
TICKS = 20  # within that time

_task, _begun = "", 0
_watched: int | None = None  # the process with the thread, which does not survive a fork


def begin(task: str) -> None:
    """Start a task: if neither `begin` nor `end` is called within `TIMEOUT_SECONDS`, the process
    exits with status 1.

    A thread counts ticks: C code may hang, and a suspended process must not time out.
    """
    global _task, _begun, _watched  # noqa: PLW0603  one per process
    _task, _begun = task, _begun + 1
    if _watched != os.getpid():
        _watched = os.getpid()
        threading.Thread(target=_watch, daemon=True).start()


def end() -> None:
    """End the task."""
    global _task  # noqa: PLW0603
    _task = ""


def _watch() -> None:
    seen, ticks = 0, 0
    while True:
        time.sleep(TIMEOUT_SECONDS / TICKS)
        ticks = ticks + 1 if _task and _begun == seen else 0
        seen = _begun
        if ticks == TICKS:
            line = f"error: timed out after {TIMEOUT_SECONDS:g} s reading {_task} (hung disk?)\n"
            os.write(sys.stderr.fileno(), line.encode())
            os._exit(1)
