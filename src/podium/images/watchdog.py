"""A timeout: a process that hangs exits with a message that names the task."""

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from podium.core import signals

TIMEOUT_SECONDS = 120.0  # an image takes milliseconds
STOP_SECONDS = 10.0  # a process that waits in vain exits this long after a signal
TICKS = 20  # within a task's time limit


class _Task(NamedTuple):
    text: str  # "" between two tasks
    seconds: float
    is_busy: Callable[[], bool] | None


_IDLE = _Task("", TIMEOUT_SECONDS, None)
_task, _begun = _IDLE, 0
_watched: int | None = None  # the process with the thread, which does not survive a fork


def begin(
    text: str, *, seconds: float | None = None, is_busy: Callable[[], bool] | None = None
) -> None:
    """Start a task: if neither `begin` nor `end` is called within `seconds` (by default,
    `TIMEOUT_SECONDS`), the process exits with status 1.

    A thread counts ticks: C code may hang, and a suspended process must not time out.

    Args:
        text: what the process is doing, as in "timed out after 120 s {text}".
        seconds: the time limit.
        is_busy: for a process that waits for others: whether they are working, which does not
            count. A signal to stop then ends the wait.
    """
    global _task, _begun, _watched  # noqa: PLW0603  one per process
    _task, _begun = _Task(text, seconds or TIMEOUT_SECONDS, is_busy), _begun + 1
    if _watched != os.getpid():
        _watched = os.getpid()
        threading.Thread(target=_watch, daemon=True).start()


def end() -> None:
    """End the task."""
    global _task  # noqa: PLW0603
    _task = _IDLE


def _watch() -> None:
    seen, ticks, waited = 0, 0, 0.0
    while True:
        task = _task
        time.sleep(task.seconds / TICKS)
        if not task.text or _begun != seen:
            seen, ticks, waited = _begun, 0, 0.0
            continue
        waited += task.seconds / TICKS
        ticks = 0 if task.is_busy is not None and task.is_busy() else ticks + 1
        if task.is_busy is not None and waited > STOP_SECONDS and signals.stop_requested():
            _exit("interrupted while waiting; rerun to resume", signals.EXIT_INTERRUPTED)
        if ticks == TICKS:
            _exit(f"error: timed out after {task.seconds:g} s {task.text}", 1)


def _exit(message: str, status: int) -> None:
    os.write(sys.stderr.fileno(), f"{message}\n".encode())
    os._exit(status)
