"""Being asked to end: a training first writes a checkpoint, then the process ends as resumable."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from podium.errors import Stopped

_signal: int | None = None


@contextmanager
def noted() -> Iterator[None]:
    """Within the block SIGTERM, SIGINT and the parent's death are noted instead of ending the
    process at once; a second signal of one kind ends it.
    """
    signals = [signal.SIGTERM, signal.SIGINT]
    if sys.platform == "linux":
        # A signal of its own: a whole process group is asked to end, and the parent dies first.
        signals.append(signal.SIGUSR1)
        die_with_parent(signal.SIGUSR1)
    before = {number: signal.signal(number, _note) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if sys.platform == "linux":
            die_with_parent()


def asked() -> bool:
    """Whether the process was asked to end."""
    return _signal is not None


def check() -> None:
    """Raises: Stopped: if the process was asked to end."""
    if _signal is not None:
        own = sys.platform == "linux" and _signal == signal.SIGUSR1
        raise Stopped("its parent's end" if own else signal.Signals(_signal).name)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process the signal `number` when its parent dies, so that nothing
    runs on unseen beside what takes its place. On Linux; elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return
    parent, set_death_signal = os.getppid(), 1
    ctypes.CDLL(None).prctl(set_death_signal, number)
    adopted = "DVC_STAGE" in os.environ and os.getsid(os.getppid()) != os.getsid(0)
    if os.getppid() != parent or adopted:  # it died before that
        os.kill(os.getpid(), number)


def _note(number: int, _: object) -> None:
    global _signal  # noqa: PLW0603  a process has one
    _signal = _signal or number  # the first: the parent's death may follow from it
    signal.signal(number, signal.SIG_DFL)
