"""Errors that are no bugs."""

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """Something that the user can put right: the message says what, where, how many, and how."""


class Stopped(SystemExit):
    """The process was asked to end, and has kept what it had done."""


def examples(items: Sequence[object], most: int = 5) -> str:
    """The first few of `items` as text: "a, b, c and 7 more"."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest} more" if rest > 0 else shown


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that `name` may have been meant to be, or ""."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {match[0]}?" if match else ""
