"""No hang: a process in which one thing takes far too long ends with a line that names it."""

import os
import sys
import threading
import time

TIMEOUT_SECONDS = 120.0  # an image takes milliseconds
TICKS = 20  # within them

_doing, _begun = "", 0
_watched: int | None = None  # the process in which a thread watches: threads do not survive a fork


def begin(what: str) -> None:
    """Start a task: if neither `begin` nor `end` is called within `TIMEOUT_SECONDS`, the process
    exits with status 1.

    A thread counts the time in ticks: what hangs may be C code, and a process that was suspended
    has only missed ticks.
    """
    global _doing, _begun, _watched  # noqa: PLW0603  a process has one
    _doing, _begun = what, _begun + 1
    if _watched != os.getpid():
        _watched = os.getpid()
        threading.Thread(target=_watch, daemon=True).start()


def end() -> None:
    """Say that nothing is being done."""
    global _doing  # noqa: PLW0603
    _doing = ""


def _watch() -> None:
    seen, ticks = 0, 0
    while True:
        time.sleep(TIMEOUT_SECONDS / TICKS)
        ticks = ticks + 1 if _doing and _begun == seen else 0
        seen = _begun
        if ticks == TICKS:
            line = f"error: timed out after {TIMEOUT_SECONDS:g} s reading {_doing} (hung disk?)\n"
            os.write(sys.stderr.fileno(), line.encode())
            os._exit(1)
