"""Progress output: bars on a terminal, and lines that appear at once."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Iterable[T], title: str, *, total: int | None = None) -> Iterable[T]:
    """Iterate with a progress bar that disappears at the end; none if stderr is not a terminal."""
    return tqdm(items, desc=title, total=total, leave=False, disable=not sys.stderr.isatty())


def say(line: str) -> None:
    """Print a line without buffering, so that it appears at once in a pipe too."""
    print(line, flush=True)
