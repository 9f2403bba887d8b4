"""Types and validators of single values in the section `prepare`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from podium.core.section import Name, require

ColumnKind = Literal["numeric", "categorical"]
Features = (
    Literal["auto", "none"]
    | Annotated[
        list[Name | Annotated[dict[Name, ColumnKind], Field(min_length=1, max_length=1)]],
        Field(min_length=1),
    ]
)


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


ValueRange = (
    Literal["auto"]
    | Annotated[list[FiniteFloat], Field(min_length=2, max_length=2), AfterValidator(check_range)]
)
