"""Types and validators of single values in the section `prepare`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from podium.config import images_pattern
from podium.core.section import Name, require

ColumnKind = Literal["numeric", "decimal_comma", "categorical"]
Features = (
    Literal["auto", "none"]
    | Annotated[
        list[Name | Annotated[dict[Name, ColumnKind], Field(min_length=1, max_length=1)]],
        Field(min_length=1),
    ]
)


def check_pattern(pattern: str) -> str:
    """Check that a regular expression is valid and has exactly one group.

    Raises:
        ValueError: if not.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"invalid regular expression {pattern!r}: {error}. Fix it.") from None
    require(
        groups == 1, f"{pattern!r} has {groups} groups. Put only what it captures in parentheses."
    )
    return pattern


def check_images(pattern: str) -> str:
    """Check that a pattern of image names contains `{id}` once, or columns, and no `*` in between.

    Raises:
        ValueError: if not.
    """
    names = images_pattern.COLUMN.findall(pattern)
    example = "{id}_*, or as in {plate}/{well}_*, columns of both tables"
    is_valid = all(names) and pattern.count("{") == pattern.count("}") == len(names)
    is_valid = is_valid and 0 < len(names) == len({*names})
    require(is_valid, f"{pattern!r} must contain {{id}} once, as in {example}")
    between = images_pattern.split(pattern)[0]
    require("*" not in between, f"{pattern!r} must not contain * between columns")
    return pattern


def check_stack(images: str | None, stack: list[str] | None, channels: int, encode: str) -> None:
    """Check that images can be stacked.

    Raises:
        ValueError: if not.
    """
    if stack is None:
        return
    is_pattern = images is not None and images.count("*") == 1
    require(is_pattern, "stack requires images with one `*`, as in {id}_*.png")
    require(len({*stack}) == len(stack), "stack must not repeat an entry")
    require(encode != "original", "stack and encode: original exclude each other")
    count = len(stack)
    if channels % count:
        raise ValueError(
            f"stack has {count} images, so channels must be {count} (grayscale), {3 * count} (RGB) "
            f"or another multiple, not {channels}. Set channels."
        )


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
