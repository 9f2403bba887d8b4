"""The base class of the sections of params.yaml, and their types."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from podium.core.errors import nearest

PositiveInt = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _as_text(value: Any) -> Any:
    """A name as text, which YAML may read as a number, true, null or a date."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int | float | date) else value


Name = Annotated[str, BeforeValidator(_as_text)]  # a class or column name as the data spell it


def require(condition: bool, problem: str) -> None:
    """Raises: ValueError: with the text `problem`, unless `condition` is true."""
    if not condition:
        raise ValueError(problem)


def _check_unique(items: list[Any]) -> list[Any]:
    for item in items:
        require(items.count(item) == 1, f"lists {item} twice. Remove the duplicate.")
    return items


Unique = AfterValidator(_check_unique)


class UnknownKey(NamedTuple):
    """The value that `Section` gives an unknown key, so that the error's input has a hint."""

    hint: str


class Section(BaseModel):
    """A section of params.yaml: frozen, without type conversions; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Former keys, and what to use instead of each."""
    NO_KEYS: ClassVar[Mapping[str, str]] = {}
    """Keys that users may expect, and what to do instead."""

    @model_validator(mode="before")
    @classmethod
    def _mark_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = cls.model_fields
        return {
            str(key): value if key in known else UnknownKey(cls._hint(str(key)))
            for key, value in values.items()
        }

    @classmethod
    def _hint(cls, key: str) -> str:
        if key in cls.RENAMED:
            return f"renamed: use {cls.RENAMED[key]}"
        if key in cls.NO_KEYS:
            return cls.NO_KEYS[key]
        names = cls.model_fields
        return "unknown key" + (nearest(key, names) or f". Choose from {', '.join(names)}.")
