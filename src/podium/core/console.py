"""Progress bars on a terminal, unbuffered lines, numbers as text, and output that never ends a
program.
"""

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
NUMBER = r"-?\d[\d,.]*(?:e[-+]\d+)?"  # regular expression of what `number` and `score` return


class _SafeStream(io.TextIOWrapper):
    """Discards what cannot be written: the pipe's reader has ended, the terminal is closed, or the
    disk with the log is full.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._stream = stream  # would close the buffer if it were deleted

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            self._discard()

    def _discard(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)
        super().flush()


def make_printing_safe() -> None:
    """Make sure that no `print` of this process raises, wherever its output goes. What the
    terminal's encoding lacks is printed as escapes.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed when this process started
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  stays open
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _SafeStream):
            setattr(sys, name, _SafeStream(stream))


def bar(items: Iterable[T], title: str, *, total: int | None = None) -> Iterable[T]:
    """Iterate with a progress bar that disappears at the end, if stderr is a terminal."""
    return tqdm(items, desc=title, total=total, leave=False, disable=not sys.stderr.isatty())


def duration(seconds: float) -> str:
    """A time as text: 40 s, 5 min, 2 h 05 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: float) -> str:
    """A number with four digits, or without decimals if it is large: "0.1235", "5,858,000"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def score(value: float) -> str:
    """A score with four decimals, or as `number` if it is large or tiny: "0.1235", "1,234"."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 10 else number(value)


def deviation(std: float, *, mean: float) -> str:
    """The standard deviation of scores, with no more decimals than their mean."""
    return f"{std:.4f}" if std < 1e-3 <= abs(mean) else score(std)


def parse(text: str) -> float:
    """The number that `number` or `score` wrote."""
    return float(text.replace(",", ""))


def say(line: str) -> None:
    """Print a line without buffering, which a pipe would have."""
    print(line, flush=True)
