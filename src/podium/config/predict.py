"""The section `predict` of params.yaml."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from podium.core.section import Positive, PositiveInt, Section

ViewName = Literal[
    "identity",
    "hflip",
    "vflip",
    "rot90",
    "rot180",
    "rot270",
    "crop_center",
    "crop_top_left",
    "crop_top_right",
    "crop_bottom_left",
    "crop_bottom_right",
]


class Predict(Section):
    """Test-time augmentation."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "when_late": "on_timeout",
    }

    views: Annotated[list[ViewName], Field(min_length=1)]
    """Their logits are averaged."""
    batch_size: PositiveInt = 64
    """Images a step."""
    time_limit_minutes: Positive | None = None
    """Of one model and fold on all test images; null: none."""
    on_timeout: Literal["fail", "fewer_views"] = "fail"
    """What to do where they would take longer; the last views are left out first."""

    @model_validator(mode="after")
    def _there_is_a_limit_to_be_late_for(self) -> Self:
        if self.on_timeout != "fail" and self.time_limit_minutes is None:
            raise ValueError("on_timeout needs time_limit_minutes")
        return self

    @field_validator("views")
    @classmethod
    def _each_view_once(cls, views: list[ViewName]) -> list[ViewName]:
        if len(set(views)) < len(views):
            raise ValueError("a view is named twice")
        return views
