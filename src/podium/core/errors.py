"""Errors that are reported to the user."""

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """An error that the user can fix: the message says what is wrong, where, and how to fix it."""


class Stopped(SystemExit):
    """The process was stopped by a signal and has saved its progress."""


def examples(items: Sequence[object], most: int = 5) -> str:
    """The first `most` items as text: "a, b, c and 7 more"."""
    shown = ", ".join(str(item) for item in items[:most])
    omitted = len(items) - most
    return f"{shown} and {omitted} more" if omitted > 0 else shown


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint: ": did you mean …?" with the most similar known name, or ""."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {match[0]}?" if match else ""
