"""The process that `make train` forks its training runs from, and the program that asks it to.

The server imports torch and the like once, for which every run would need seconds, and uses no
CUDA, which does not survive a fork. A client takes the place of `python src/train.py` below DVC. A
fork has the client's arguments, environment, folder and open files; the client ends as the fork
does. Between server and fork is a guard, which exits if the client dies: so the fork gets the
signal that it has chosen for the death of DVC (see `core.signals`).

Imports nothing of Podium: a checkpoint's fingerprint is that of the imported modules.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

# What a training imports, without Podium itself. None of it may use CUDA.
IMPORTS = ("torch", "torch._dynamo", "torchvision", "timm", "timm.optim", "timm.utils",
           "accelerate", "albumentations", "cv2", "pandas", "pyarrow.parquet", "pydantic", "psutil",
           "filelock", "requests", "ruamel.yaml", "safetensors.torch", "scipy.optimize",
           "sklearn.metrics", "tqdm")  # fmt: skip
STOPS = [getattr(signal, n) for n in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, n)]
PR_SET_PDEATHSIG = 1  # option of prctl(2)
LENGTH = 8  # bytes of a request that say how long the rest is
STREAMS = (0, 1, 2)


class Request(NamedTuple):
    """What a client asks for."""

    arguments: list[str]  # a script and its arguments
    folder: str
    environment: dict[str, str]


def ask(address: str, arguments: list[str]) -> NoReturn:
    """Let the server at `address` run a script, and end as it does. Without a server, run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _die_with_parent(os.getppid())
    request = Request(arguments, str(Path.cwd()), dict(os.environ))
    content = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(address)
            socket.send_fds(server, [b"%0*d" % (LENGTH, len(content))], STREAMS)
            server.sendall(content)
            is_started = bool(server.recv(1))
        except OSError:
            is_started = False
        if not is_started:
            os.execv(sys.executable, [sys.executable, *arguments])
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # they are for the fork, which gets them
        with contextlib.suppress(OSError):
            _end(int(server.recv(LENGTH) or -signal.SIGKILL))
    _end(-signal.SIGKILL)


def _end(status: int) -> NoReturn:
    """Exit with a status, or die of the signal that it is the negative of."""
    if status < 0:
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)  # forget those that have arrived
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def serve(listener: socket.socket) -> Request:
    """Return in a fork for each request.

    Nothing is imported before the first request: there may be nothing to train.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing waits for the guards
    is_ready = False
    while True:
        connection, _ = listener.accept()
        if not is_ready:
            _import()
            is_ready = True
        server = os.getpid()
        if _fork() == 0:
            listener.close()
            _die_with_parent(server)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _guard(connection)
        connection.close()


def _import() -> None:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it asks PyPI for updates
    for name in IMPORTS:
        with contextlib.suppress(ImportError):  # if a training needs it, it says so
            importlib.import_module(name)
    gc.freeze()  # or a collection in a fork would copy all of it


def _guard(connection: socket.socket) -> Request:
    """Return in a fork, and wait for it here."""
    size, descriptors, _, _ = socket.recv_fds(connection, LENGTH, len(STREAMS))
    with connection.makefile("rb") as stream:
        content = stream.read(int(size or 0))
    if len(content) < int(size or 1):  # the client is gone
        os._exit(0)
    request, guard = Request(*json.loads(content)), os.getpid()
    child = _fork()
    if child == 0:
        _die_with_parent(guard)
        connection.close()
        for number, descriptor in zip(STREAMS, descriptors, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        return request
    for descriptor in descriptors:
        os.close(descriptor)
    with contextlib.suppress(OSError):  # the client is gone
        connection.sendall(b"+")
        ended = os.pidfd_open(child)
        if ended in select.select([ended, connection.fileno()], [], [])[0]:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            connection.sendall(b"%d" % status)
    os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads. NumPy's stop before a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died already
        os._exit(1)


def run(request: Request) -> None:
    """Run the script as the interpreter would."""
    _open_streams()
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv = request.arguments
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _open_streams() -> None:
    """Open what the streams are now: Python remembers whether they were files when it started."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        new = open(  # noqa: SIM115  stays open
            number,
            "r" if name == "stdin" else "w",
            encoding=old.encoding,
            errors=old.errors,
            newline=None if name == "stdin" else "\n",
            closefd=False,
        )
        lines = not old.write_through and (name == "stderr" or new.isatty())
        new.reconfigure(line_buffering=lines, write_through=old.write_through)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def main(arguments: list[Any]) -> None:
    """`serve` with the file descriptor of a listening socket, or `ask` with its address."""
    role, where, *others = arguments
    if role == "ask":
        ask(where, others)
    with socket.socket(fileno=int(where)) as listener:
        request = serve(listener)
    run(request)


if __name__ == "__main__":
    main(sys.argv[1:])
