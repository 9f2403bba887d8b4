"""What a stage prints as it goes: bars on a terminal, a line an epoch elsewhere."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Iterable[T], title: str, *, total: int | None = None) -> Iterable[T]:
    """`items`, with a bar that disappears at the end; silent where stderr is no terminal."""
    return tqdm(items, desc=title, total=total, leave=False, disable=not sys.stderr.isatty())


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)
