"""Run a stage or command: error messages and exit statuses."""

import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from podium.core import console, files, machine, signals
from podium.core.errors import Stopped, UserError


def run(main: Callable[[], None]) -> None:
    """Run `main`. A UserError prints one message and exits with 1, an interruption with 75."""
    _use_utf8()
    console.make_printing_safe()
    signals.die_with_dvc()
    machine.keep_freed_memory()
    gc.freeze()  # skip imported modules when collecting at exit: with torch, a second
    try:
        _run(main)
    except RuntimeError as error:  # torch raises it anywhere when a DataLoader worker dies
        _fail_for_worker(error)


def _use_utf8() -> None:
    """Start again in Python's UTF-8 mode if the locale has another encoding, which would garble the
    names of files.
    """
    if sys.getfilesystemencoding().lower() != "utf-8":
        if sys.stdout is not None:
            os.environ["PYTHONIOENCODING"] = sys.stdout.encoding
        os.environ["PYTHONUTF8"] = "1"  # for processes that this one starts
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _run(main: Callable[[], None]) -> None:
    try:
        main()
    except UserError as error:
        # An error from a DataLoader worker has the worker's traceback in front.
        _fail(str(error).rpartition(f"{UserError.__module__}.UserError: ")[2].strip())
    except (Stopped, KeyboardInterrupt) as error:
        resume = " to resume" if isinstance(error, Stopped) else ""
        print(f"interrupted by {str(error) or 'SIGINT'}; rerun{resume}", file=sys.stderr)
        sys.exit(signals.EXIT_INTERRUPTED)
    except Exception as error:
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker (pid"):
            _fail_for_worker(error)
        if isinstance(error, OSError) and error.errno in files.DISK_FULL | files.NOT_WRITABLE:
            _fail(f"{error.filename or 'a file'}: {error.strerror}")
        traceback.print_exc()  # unexpected: a bug
        _exit()


def _fail_for_worker(error: RuntimeError) -> NoReturn:
    _fail(
        f"a DataLoader worker died: {str(error).strip()} If memory is short, lower "
        f"{machine.WORKERS_VARIABLE} or batch_size."
    )


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    _exit()


def _exit() -> NoReturn:
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or torch raises when its workers are killed
    if children := multiprocessing.active_children():
        for child in children:
            child.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # sys.exit would wait for them, and they ignore SIGTERM
    sys.exit(1)
