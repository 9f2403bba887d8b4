"""Validators of single values in the section `prepare`."""

import re

from podium.core.section import require


def check_pattern(pattern: str) -> str:
    """Check that a regular expression is valid and has exactly one group, the label.

    Raises:
        ValueError: if not.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"invalid regular expression {pattern!r}: {error}. Fix it.") from None
    require(groups == 1, f"{pattern!r} has {groups} groups. Put only the label in parentheses.")
    return pattern


def check_images(pattern: str) -> str:
    """Check that a pattern of image names contains `{id}` once.

    Raises:
        ValueError: if not.
    """
    require(pattern.count("{id}") == 1, f"{pattern!r} must contain {{id}} once, as in {{id}}_*")
    return pattern


def check_range(value_range: list[float]) -> list[float]:
    """Check that a pair of numbers is in ascending order.

    Raises:
        ValueError: if not.
    """
    low, high = value_range
    require(low < high, f"must be in ascending order, not {value_range}")
    return value_range
