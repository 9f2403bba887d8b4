"""Graceful shutdown on SIGTERM and SIGINT, and when the process that runs a stage dies."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from podium.core.errors import Stopped

PR_SET_PDEATHSIG = 1  # of prctl(2), which only Linux has
# A signal of its own for the death of DVC: if a whole process group gets SIGTERM, DVC may die of it
# before the stage gets its own.
_DVC_DIED = signal.SIGUSR1 if sys.platform == "linux" else None
_received: int | None = None


@contextmanager
def deferred() -> Iterator[None]:
    """Record SIGTERM, SIGINT and the death of DVC within the block instead of exiting at once. A
    second signal of the same kind ends the process.
    """
    numbers = [signal.SIGTERM, signal.SIGINT]
    if _DVC_DIED is not None and _is_run_by_dvc():
        numbers.append(_DVC_DIED)
    previous = {number: signal.signal(number, _record) for number in numbers}
    try:
        if _DVC_DIED is not None:
            die_with_dvc(_DVC_DIED)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if _received is None:  # else the process is about to exit with a message
            die_with_dvc()


def stop_requested() -> bool:
    """Whether a signal to stop has arrived."""
    return _received is not None


def raise_if_stopped() -> None:
    """Raises: Stopped: if a signal to stop has arrived."""
    if _received is not None:
        name = signal.Signals(_received).name
        raise Stopped("the end of DVC" if _received == _DVC_DIED else name)


def die_with_dvc(number: int = signal.SIGKILL) -> None:
    """Die with the parent if it is DVC, since the next `dvc repro` would start the stage again next
    to this one. A stage that was started by hand outlives its shell, as with `nohup`.
    """
    if _is_run_by_dvc():
        die_with_parent(number)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process the signal `number` when its parent dies. Does nothing
    except on Linux.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    adopted = _is_run_by_dvc() and os.getsid(os.getppid()) != os.getsid(0)
    if os.getppid() != parent or adopted:  # it died before that
        os.kill(os.getpid(), number)


def _is_run_by_dvc() -> bool:
    return "DVC_STAGE" in os.environ


def _record(number: int, _: object) -> None:
    global _received  # noqa: PLW0603  a process has one
    if _received in (None, _DVC_DIED):  # DVC may have died of the same signal
        _received = number
    signal.signal(number, signal.SIG_DFL)
