"""How a stage runs and ends: with its outputs, or with one message that its user can act on."""

import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from podium.core import files, machine, signals
from podium.core.errors import Stopped, UserError

RESUMABLE = 75  # exit status EX_TEMPFAIL of sysexits.h


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`. A UserError becomes one message on stderr and exit status 1, being
    asked to end exit status 75. When the process that started it dies, so does the stage: DVC
    would start another beside it.
    """
    signals.die_with_parent()
    machine.keep_freed_memory()
    gc.freeze()  # what is imported stays: to look through it at the end takes torch a second
    try:
        _run(main)
    except RuntimeError as error:  # torch's, raised wherever we are when a loader's process dies
        _lost(error)


def _run(main: Callable[[], None]) -> None:
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        # A loader's worker hands an error on with its traceback before it.
        _fail(str(error).rpartition(f"{UserError.__module__}.UserError: ")[2].strip())
    except (Stopped, KeyboardInterrupt) as error:
        kept = ", and it goes on from here" if isinstance(error, Stopped) else ""
        print(f"stopped by {str(error) or 'SIGINT'}: run it again{kept}", file=sys.stderr)
        sys.exit(RESUMABLE)
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker (pid"):
            _lost(error)
        if isinstance(error, OSError) and error.errno in files.DISK_FULL | files.NOT_WRITABLE:
            _fail(f"{error.filename or 'a file'}: {error.strerror}")
        traceback.print_exc()  # a mistake of ours
        _end()


def _lost(error: RuntimeError) -> NoReturn:
    _fail(
        f"a process that loads images was lost: {str(error).strip()} If memory is short, "
        f"set {machine.WORKERS_VARIABLE} to fewer, or take a smaller batch_size"
    )


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    _end()


def _end() -> NoReturn:
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or torch raises as we end its processes
    if children := multiprocessing.active_children():
        for child in children:
            child.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # Python would wait for them: they ignore its request to end
    sys.exit(1)
