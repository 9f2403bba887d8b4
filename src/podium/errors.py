"""Errors that are no bugs."""

from collections.abc import Sequence


class UserError(Exception):
    """Something that the user can put right: the message says what, where, how many, and how."""


class Stopped(SystemExit):
    """The process was asked to end, and has kept what it had done."""


def examples(items: Sequence[object], most: int = 5) -> str:
    """The first few of `items` as text: "a, b, c and 7 more"."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest} more" if rest > 0 else shown
