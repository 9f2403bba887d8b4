"""Errors that are reported to the user."""

import difflib
import os
import re
from collections.abc import Iterable, Sequence

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)  # in variable names
PLURALS = {
    "is": "are", "has": "have", "does": "do",
    "matches": "match", "contains": "contain", "lacks": "lack",
}  # fmt: skip
MIN_SECRET, MAX_TEXT = 6, 300  # characters


class UserError(Exception):
    """An error that the user can fix: the message says what is wrong, where, and how to fix it."""


class Stopped(SystemExit):
    """The process was stopped by a signal and has saved its progress."""


def examples(items: Sequence[object], most: int = 5) -> str:
    """The first `most` items as text: "a, b, c and 7 more"."""
    shown = ", ".join(str(item) for item in items[:most])
    omitted = len(items) - most
    return f"{shown} and {omitted} more" if omitted > 0 else shown


def counted(count: int, noun: str, verb: str = "", *, of: int | None = None) -> str:
    """A number with its noun, and perhaps a verb: "1 model", "2 models"; "1 class has", "2 classes
    have". With `of`, a part of this many: "1 of 9 classes has".
    """
    verb = verb if count == 1 else PLURALS.get(verb, verb)
    if (count if of is None else of) != 1:
        stem, end = (noun[:-1], "ies") if noun.endswith("y") else (noun, "s")
        noun = f"{stem}{'e' if noun.endswith('s') else ''}{end}"
    return f"{count}{'' if of is None else f' of {of}'} {noun} {verb}".rstrip()


def listed(items: Sequence[object], most: int = 5, verb: str = "") -> str:
    """As `examples`, with "and" before the last, and perhaps a verb: "a, b and c"; "a has", "a and
    b have".
    """
    text = examples(items, most)
    if 1 < len(items) <= most:
        text = f"{examples(items[:-1], most)} and {items[-1]}"
    return f"{text} {verb if len(items) == 1 else PLURALS.get(verb, verb)}".rstrip()


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint: ": did you mean …?" with the most similar known name, or ""."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {match[0]}?" if match else ""


def redacted(error: BaseException) -> str:
    """The first line of another library's error, without credentials in URLs and without values of
    environment variables that contain secrets.
    """
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    secrets = [value for name, value in os.environ.items() if SECRET.search(name)]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) >= MIN_SECRET else text
    text = re.sub(r"://[^/@\s]+@", "://***@", text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
