"""`make train` imports libraries once: its training runs are forks of one process."""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from podium.cluster import fork_server
from podium.core import signals

PROGRAMS = ("src/train.py", "src/train_all.py")
MAX_ADDRESS = 107  # bytes, of a socket's path
# In place of `python`: what is not to be forked runs as usual.
PYTHON = """#!/bin/sh
case $1 in
{programs}) exec {python} -IS {server} ask {address} "$@" ;;
esac
exec {python} "$@"
"""


@contextlib.contextmanager
def started() -> Iterator[bool]:
    """In the block, `python src/train.py` in a process that this one starts is a fork of a server.
    If that is not possible here, it is what it always was, and False is returned.
    """
    with tempfile.TemporaryDirectory(prefix="podium-") as folder:
        address, python = Path(folder, "socket"), Path(folder, "python")
        python.write_text(_python(address), encoding="utf-8")
        python.chmod(0o700)
        if not _is_possible(address, python):
            yield False
            return
        with _server(address):
            path = os.environ["PATH"]
            os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
            try:
                yield True
            finally:
                os.environ["PATH"] = path


def _python(address: Path) -> str:
    quoted = map(shlex.quote, (sys.executable, fork_server.__file__, str(address)))
    return PYTHON.format(
        programs="|".join(PROGRAMS),
        **dict(zip(("python", "server", "address"), quoted, strict=True)),
    )


def _is_possible(address: Path, python: Path) -> bool:
    """Whether forks can replace `python`: on Linux 5.3, if `python` is the one that runs this, and
    programs in temporary folders may be executed.
    """
    if sys.platform != "linux" or len(os.fsencode(address)) > MAX_ADDRESS:
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    usual, this = shutil.which("python"), Path(sys.executable)
    is_this = usual is not None and Path(usual).parent == this.parent and this.samefile(usual)
    return is_this and os.access(python, os.X_OK)


@contextlib.contextmanager
def _server(address: Path) -> Iterator[None]:
    """The server. It gets the environment of now: the number of threads, for instance."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(64)
        number = listener.fileno()
        server = subprocess.Popen(
            # Not its folder in sys.path, which has files named as modules of the library.
            [sys.executable, "-P", fork_server.__file__, "serve", str(number)],
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
            preexec_fn=signals.die_with_parent,  # noqa: PLW1509
        )
    try:
        yield
    finally:
        server.kill()
        server.wait()
