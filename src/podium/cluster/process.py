"""A process and its lines, for the node program. Runs there, so it imports nothing of Podium."""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

POLL_SECONDS = 1.0
STOP_SECONDS = 15.0  # for a stage that writes a checkpoint after SIGTERM
PR_SET_PDEATHSIG = 1  # option of prctl(2)
# Lines of DVC that do not matter here.
ADVICE = ("To track the changes", "\tgit add", "To enable auto", "\tdvc config", "Use `dvc push`")


@contextlib.contextmanager
def started(
    command: tuple[str, ...], folder: Path, environment: dict[str, str]
) -> "Iterator[tuple[subprocess.Popen[str], Iterator[str | None]]]":
    """A process and its lines, with None each second without one. Stopped at the end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509
    )
    assert process.stdout is not None
    lines = queue.SimpleQueue[str | None]()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    try:
        yield process, _lines(lines)
        process.wait()
    finally:
        _stop(process)


def _read(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        lines.put(line.rstrip())
    lines.put(None)


def _lines(lines: "queue.SimpleQueue[str | None]") -> Iterator[str | None]:
    while True:
        try:
            line = lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        if line and not line.startswith(ADVICE):
            yield line


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(process: "subprocess.Popen[str]") -> None:
    """End the process and its group: DVC ends before the stage that it runs."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if _ends(process):
            return


def _ends(process: "subprocess.Popen[str]") -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        process.poll()  # reaps it
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
