"""How much of the time a GPU computes, as nvidia-smi reports it."""

import shutil
import subprocess
import threading
from types import TracebackType
from typing import Self

from podium.core import machine

TIMEOUT_SECONDS = 5.0  # a driver that hangs does not answer
PAUSE_SECONDS = 0.2  # between two readings, each of which is of up to a second


class GpuUse:
    """Asks nvidia-smi again and again while a block runs."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.share: float | None = None
        """The highest share of the time in which the GPU computed; None if nvidia-smi does not
        report it."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start asking."""
        if machine.gpus() and shutil.which("nvidia-smi"):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
    ) -> None:
        """Stop asking."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=TIMEOUT_SECONDS)

    def _watch(self) -> None:
        query = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
        command = ["nvidia-smi", *query, f"--id={machine.gpus()[0]}"]
        while not self._ended.is_set():
            try:
                done = subprocess.run(
                    command,
                    capture_output=True,
                    encoding="utf-8",
                    check=False,
                    timeout=TIMEOUT_SECONDS,
                )
            except (OSError, subprocess.TimeoutExpired):
                return
            text = done.stdout.strip()
            if done.returncode != 0 or not text.isdigit():  # "[N/A]", as for a part of a GPU
                return
            self.share = max(self.share or 0.0, int(text) / 100)
            self._ended.wait(PAUSE_SECONDS)
