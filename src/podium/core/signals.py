"""Being asked to end: a training first writes a checkpoint, then the process ends as resumable."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from podium.core.errors import Stopped

# Sent when the parent dies: a signal of its own, as a whole process group may be asked to end, and
# the parent may die of it first. Only Linux sends it.
_PARENT_DIED = signal.SIGUSR1 if sys.platform == "linux" else None
_signal: int | None = None


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block SIGTERM, SIGINT and the parent's death are noted instead of ending the
    process at once; a second signal of one kind ends it.
    """
    signals = [signal.SIGTERM, signal.SIGINT]
    if _PARENT_DIED is not None:
        signals.append(_PARENT_DIED)
        die_with_parent(_PARENT_DIED)
    before = {number: signal.signal(number, _note) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if _PARENT_DIED is not None:
            die_with_parent()


def stop_requested() -> bool:
    """Whether the process was asked to end."""
    return _signal is not None


def raise_if_stopped() -> None:
    """Raises: Stopped: if the process was asked to end."""
    if _signal is not None:
        died = _signal == _PARENT_DIED
        raise Stopped("its parent's end" if died else signal.Signals(_signal).name)


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
    if _signal in (None, _PARENT_DIED):  # the parent may have died of the next one
        _signal = number
    signal.signal(number, signal.SIG_DFL)
