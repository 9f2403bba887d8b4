"""No hang: what takes far too long becomes an error that names it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from podium.errors import UserError

PATIENCE = 60.0  # seconds; an image takes milliseconds


@contextmanager
def each() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is begun. What takes longer than `PATIENCE` twice over before
    the next is begun, or the block ends, is a UserError with its name.

    The first alarm is forgiven: a process that was suspended gets one as soon as it goes on. It is
    the system's timer that rings, in the main thread; elsewhere, and on Windows, nothing does.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield lambda _: None
        return
    begun, alarms = "", 0

    def begin(what: str) -> None:
        nonlocal begun, alarms
        begun, alarms = what, 0
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)

    def ring(*_: object) -> None:
        nonlocal alarms
        alarms += 1
        if alarms > 1:
            raise UserError(
                f"{begun} is not there after {2 * PATIENCE:g} seconds: does the disk hang?"
            )

    before = signal.signal(signal.SIGALRM, ring)
    left = signal.getitimer(signal.ITIMER_REAL)
    try:
        yield begin
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
        signal.signal(signal.SIGALRM, before)
