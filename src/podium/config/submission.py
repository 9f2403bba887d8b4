"""The section `submission` of params.yaml."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from podium.core.section import PositiveInt, Section


class Submission(Section):
    """What the CSV for Kaggle holds."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "form": "format",
    }

    format: Literal[
        "auto", "label", "number", "probability", "columns", "labels", "top_k", "value"
    ] = "auto"
    """auto: as the sample submission. `label`: the class; `number`: its place among the classes,
    from 0; `probability`: of the second of two classes; `columns`: one a class; `labels`: several
    in one column; `top_k`: the likeliest `top` in one column; `value`: a number."""
    top: PositiveInt | None = None
    """Of `top_k`; null: as many as the sample submission has, else the metric's k."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Of several labels in one column; null: as the sample submission, else a space."""

    @model_validator(mode="after")
    def _top_and_separator_are_used(self) -> Self:
        if self.top is not None and self.format not in ("auto", "top_k"):
            raise ValueError(f"top is of format: top_k, not of {self.format}")
        if self.separator is not None and self.format not in ("auto", "top_k", "labels"):
            raise ValueError(f"separator is of format: labels or top_k, not of {self.format}")
        return self
