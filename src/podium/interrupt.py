"""Being asked to end: a training first writes a checkpoint, then the process ends as resumable."""

import ctypes
import os
import signal
import sys

from podium.errors import Stopped

_signal: int | None = None


def listen() -> None:
    """From now on SIGTERM and SIGINT are noted instead of ending the process at once; a second one
    ends it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _note)


def asked() -> bool:
    """Whether the process was asked to end."""
    return _signal is not None


def check() -> None:
    """Raises: Stopped: if the process was asked to end."""
    if _signal is not None:
        raise Stopped(signal.Signals(_signal).name)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, so that no training runs on unseen
    beside the one that takes its place. On Linux; elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return
    parent, set_death_signal = os.getppid(), 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os.kill(os.getpid(), signal.SIGKILL)


def _note(number: int, _: object) -> None:
    global _signal  # noqa: PLW0603  a process has one
    _signal = number
    signal.signal(number, signal.SIG_DFL)
