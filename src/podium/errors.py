"""How a stage ends: with its outputs, or with one message that its user can act on."""

import sys
from collections.abc import Callable, Sequence


class UserError(Exception):
    """Something that the user can put right: the message says what, where, how many, and how."""


def examples(items: Sequence[object], most: int = 5) -> str:
    """The first few of `items` as text: "a, b, c and 7 more"."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest} more" if rest > 0 else shown


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a UserError becomes one message on stderr and exit status 1."""
    try:
        main()
    except UserError as error:
        # A loader's worker hands an error on with its traceback before it.
        text = str(error).rpartition(f"{__name__}.UserError: ")[2].strip()
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)
