"""The base class of the sections of params.yaml, and their number types."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PositiveInt = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Section(BaseModel):
    """A section of params.yaml: frozen, without type conversions; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Former keys, and what to use instead of each."""
