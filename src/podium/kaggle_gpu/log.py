"""The log of a notebook, as its lines arrive."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

RECONNECT_SECONDS = 5.0


class Log:
    """A thread reads the stream of a notebook's log. It does not print: the client's output is
    suppressed now and then, for the whole process.
    """

    def __init__(self, api: Any, ref: str, *, printed: int) -> None:
        """Skip the lines that were `printed` before."""
        self.api, self.ref, self.printed = api, ref, printed
        self._lines = queue.SimpleQueue[tuple[int, str]]()
        self._ended = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while not self._ended.is_set():
            self._read()
            self._ended.wait(RECONNECT_SECONDS)

    def _read(self) -> None:
        """Kaggle sends the log from its beginning after each reconnection."""
        with contextlib.suppress(Exception):  # there is none yet, or the connection was lost
            for number, event in enumerate(self.api.kernels_logs_stream(self.ref)):
                self._lines.put((number, str(event.get("data") or "").rstrip("\n")))

    def new(self) -> Iterator[str]:
        """The lines that have arrived since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                number, line = self._lines.get_nowait()
                if number >= self.printed:
                    self.printed = number + 1
                    yield line

    def close(self) -> None:
        """Let the thread end."""
        self._ended.set()

    def rest(self) -> Iterator[str]:
        """The other lines of a notebook that has ended."""
        self.close()
        self._read()
        yield from self.new()
