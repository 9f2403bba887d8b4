"""A limit on the time, as users give it."""

import argparse
import math

from podium.core import console


def positive(text: str) -> float:
    """The positive number in an option, as a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: if it is not one.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, not {text!r}")
    return number


def verdict(seconds: float, hours: float) -> str:
    """Whether that fits into a number of hours."""
    limit = console.duration(3600 * hours)
    if seconds <= 3600 * hours:
        return f"fits into {limit}"
    return (
        f"does not fit into {limit}: it takes {seconds / 3600 / hours:.1f} times as long. Use "
        "fewer epochs, smaller images or fewer folds (folds.run)."
    )
