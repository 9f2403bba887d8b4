"""Progress bars on a terminal, and unbuffered lines."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Iterable[T], title: str, *, total: int | None = None) -> Iterable[T]:
    """Iterate with a progress bar that disappears at the end, if stderr is a terminal."""
    return tqdm(items, desc=title, total=total, leave=False, disable=not sys.stderr.isatty())


def say(line: str) -> None:
    """Print a line without buffering, which a pipe would have."""
    print(line, flush=True)
