"""How a stage ends: with its outputs, or with one message that its user can act on."""

import sys
from collections.abc import Callable, Sequence

RESUMABLE = 75  # exit status EX_TEMPFAIL of sysexits.h


class UserError(Exception):
    """Something that the user can put right: the message says what, where, how many, and how."""


class Stopped(SystemExit):
    """The process was asked to end, and has kept what it had done."""


def examples(items: Sequence[object], most: int = 5) -> str:
    """The first few of `items` as text: "a, b, c and 7 more"."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest} more" if rest > 0 else shown


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a UserError becomes one message on stderr and exit status 1, being
    asked to end exit status 75.
    """
    try:
        main()
    except UserError as error:
        # A loader's worker hands an error on with its traceback before it.
        text = str(error).rpartition(f"{__name__}.UserError: ")[2].strip()
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)
    except Stopped as error:
        print(f"stopped by {error}: run it again, and it goes on from here", file=sys.stderr)
        sys.exit(RESUMABLE)
