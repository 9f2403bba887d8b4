"""The section `submission` of params.yaml."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from podium.config.tasks import SINGLE_LABEL, TaskName
from podium.core.section import Name, PositiveInt, Section, require

FORMATS: dict[str, tuple[TaskName, ...]] = {  # the tasks whose predictions can be written so
    "label": SINGLE_LABEL,
    "number": SINGLE_LABEL,
    "probability": SINGLE_LABEL,  # only with two classes
    "columns": (*SINGLE_LABEL, "multilabel", "regression"),
    "labels": ("multilabel",),
    "top_k": (*SINGLE_LABEL, "multilabel"),
    "value": ("ordinal", "regression"),
    "confidence": SINGLE_LABEL,
}


def _check_range(clip: list[float]) -> list[float]:
    is_range = len(clip) == len(("low", "high")) and clip[0] < clip[1]
    require(is_range, f"must be two numbers in ascending order, not {clip}")
    return clip


Format = Literal[
    "auto", "label", "number", "probability", "columns", "labels", "top_k", "value", "confidence"
]
Range = Annotated[list[FiniteFloat], AfterValidator(_check_range)]


class Submission(Section):
    """The format of the submission CSV."""

    RENAMED: ClassVar = {"form": "format"}

    format: Format | dict[Name, Format] = "auto"
    """`auto`: inferred from the sample submission. `label`: the class. `number`: its index, from 0.
    `probability`: of the positive class. `columns`: one column per class. `labels`: several labels
    in one column. `top_k`: the `top` highest-scoring classes in one column. `value`: a number.
    `confidence`: the class and its probability in one column, separated by `separator`. With
    several targets, `auto` or that of each: `{label: number}`."""
    top: PositiveInt | None = None
    """Labels per image with `top_k`. null: as in the sample submission, else the metric's k."""
    clip: Literal["auto-range"] | Range | None = None
    """Range to which submitted numbers are clipped: `[low, high]`, or `auto-range`, the range of
    each target's training labels. Does not affect out-of-fold scores. Requires `task: regression`.
    null: no clipping."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Separator between labels in one column. null: as in the sample submission, else a space."""

    def of_target(self, name: str) -> "Submission":
        """The section for one of several targets."""
        if isinstance(self.format, str):
            return self
        return self.model_copy(update={"format": self.format.get(name, "auto")})

    @model_validator(mode="after")
    def _top_and_separator_are_used(self) -> Self:
        formats = {self.format} if isinstance(self.format, str) else {*self.format.values()}
        if self.top is not None and not formats & {"auto", "top_k"}:
            raise ValueError(f"top requires format: top_k, not {self.format}. Remove top.")
        if self.separator is not None and not formats & {"auto", "top_k", "labels", "confidence"}:
            raise ValueError(
                f"separator requires format: labels, top_k or confidence, not {self.format}. "
                "Remove separator."
            )
        return self
