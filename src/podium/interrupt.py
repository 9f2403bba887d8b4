"""Being asked to end: a training first writes a checkpoint, then the process ends as resumable."""

import ctypes
import os
import signal
import sys

from podium.errors import Stopped

_signal: int | None = None


def listen() -> None:
    """From now on SIGTERM, SIGINT and the parent's death are noted instead of ending the process at
    once; a second signal of one kind ends it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _note)
    if sys.platform == "linux":
        # A signal of its own: a whole process group is asked to end, and the parent dies first.
        signal.signal(signal.SIGUSR1, _note)
        die_with_parent(signal.SIGUSR1)


def asked() -> bool:
    """Whether the process was asked to end."""
    return _signal is not None


def check() -> None:
    """Raises: Stopped: if the process was asked to end."""
    if _signal is not None:
        raise Stopped(signal.Signals(_signal).name)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process the signal `number` when its parent dies, so that nothing
    runs on unseen beside what takes its place. On Linux; elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return
    parent, set_death_signal = os.getppid(), 1
    ctypes.CDLL(None).prctl(set_death_signal, number)
    if os.getppid() != parent:  # it died before that
        os.kill(os.getpid(), number)


def _note(number: int, _: object) -> None:
    global _signal  # noqa: PLW0603  a process has one
    _signal = number
    signal.signal(number, signal.SIG_DFL)
