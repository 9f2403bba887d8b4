"""Graceful shutdown on SIGTERM, SIGINT, SIGHUP and the death of the parent process."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from podium.core.errors import Stopped

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h
PR_SET_PDEATHSIG = 1  # option of prctl(2), which only Linux has
# DVC's death has its own signal: if a process group gets SIGTERM, DVC may die before the stage gets
# its own SIGTERM.
_DVC_DIED = signal.SIGUSR1 if sys.platform == "linux" else None
_received: int | None = None


def to_stop() -> list[signal.Signals]:
    """The signals that ask this process to stop. SIGHUP, which a closed terminal sends, is one of
    them unless it is ignored (`nohup`).
    """
    numbers = [signal.SIGTERM, signal.SIGINT]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    return numbers


@contextmanager
def deferred(before_death: Callable[[], object] | None = None) -> Iterator[None]:
    """Within the block, record `to_stop` and the death of DVC instead of exiting at once. A second
    signal of the same kind calls `before_death` and ends the process.
    """

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        assert before_death is not None
        before_death()
        os.kill(os.getpid(), number)

    def record(number: int, _: object) -> None:
        global _received  # noqa: PLW0603  one per process
        if _received in (None, _DVC_DIED):  # DVC may have died of the same signal
            _received = number
        # Without a function to call, end also while Python waits for a library.
        signal.signal(number, signal.SIG_DFL if before_death is None else end)

    numbers = to_stop()
    if _DVC_DIED is not None and _is_run_by_dvc():
        numbers.append(_DVC_DIED)
    previous = {number: signal.signal(number, record) for number in numbers}
    try:
        if _DVC_DIED is not None:
            die_with_dvc(_DVC_DIED)
        yield
    finally:
        # Else the process is about to exit: DVC's death must not silence its last message.
        if _received is None:
            for number, handler in previous.items():
                signal.signal(number, handler)
            die_with_dvc()


def stop_requested() -> bool:
    """Whether a signal to stop has arrived."""
    return _received is not None


def raise_if_stopped() -> None:
    """Raises: Stopped: if a signal to stop has arrived."""
    if _received is not None:
        name = signal.Signals(_received).name
        raise Stopped("the exit of DVC" if _received == _DVC_DIED else name)


def die_with_dvc(number: int = signal.SIGKILL) -> None:
    """Die with DVC if it runs this stage: the next `dvc repro` would start another process. A stage
    that was started in a shell outlives it (`nohup`).
    """
    if _is_run_by_dvc():
        die_with_parent(number)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Make the kernel send this process the signal `number` when the parent dies (Linux only)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    adopted = _is_run_by_dvc() and os.getsid(os.getppid()) != os.getsid(0)
    if os.getppid() != parent or adopted:  # it has died already
        os.kill(os.getpid(), number)


def _is_run_by_dvc() -> bool:
    return "DVC_STAGE" in os.environ
