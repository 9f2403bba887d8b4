"""No hang: a process in which one thing takes far too long ends with a line that names it."""

import os
import sys
import threading
import time

PATIENCE = 120.0  # seconds; an image takes milliseconds
TICKS = 20  # within them

_doing, _begun = "", 0
_watched: int | None = None  # the process in which a thread watches: threads do not survive a fork


def begin(what: str) -> None:
    """Say what is begun: should nothing else be begun, or `end` called, for `PATIENCE` seconds, the
    process ends with exit status 1. A thread counts the time, a tick at a time: what hangs may be
    no Python, and a process that was suspended has missed ticks only.
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
        time.sleep(PATIENCE / TICKS)
        ticks = ticks + 1 if _doing and _begun == seen else 0
        seen = _begun
        if ticks == TICKS:
            line = f"error: {_doing} is not there after {PATIENCE:g} seconds: does the disk hang?\n"
            os.write(sys.stderr.fileno(), line.encode())
            os._exit(1)
