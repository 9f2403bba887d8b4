"""The section `predict` of params.yaml."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from podium.core.section import Positive, PositiveInt, Section, Unique, require


class Neighbors(Section):
    """Votes of the nearest training images, by the features before the classifier."""

    count: PositiveInt = 5
    """Number of nearest training images, by cosine similarity."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Weight of their votes in the mean with the model's probabilities. 1: the votes alone."""


class Predict(Section):
    """Inference with test-time augmentation (TTA)."""

    RENAMED: ClassVar = {"when_late": "on_timeout"}

    views: Annotated[list[str], Field(min_length=1), Unique]
    """TTA views of each image, whose predictions are averaged."""
    batch_size: PositiveInt = 64
    """Images per batch."""
    time_limit_minutes: Positive | None = None
    """Time limit for predicting all test images with one model and fold. null: no limit."""
    on_timeout: Literal["fail", "fewer_views"] = "fail"
    """What to do if the estimated time exceeds the limit. `fewer_views` drops views from the end
    of the list."""

    neighbors: Neighbors | None = None
    """Votes of the nearest training images, averaged with the probabilities of each model and fold.
    null: none."""

    @model_validator(mode="after")
    def _timeout_has_a_limit(self) -> Self:
        has_limit = self.time_limit_minutes is not None
        require(self.on_timeout == "fail" or has_limit, "on_timeout requires time_limit_minutes")
        return self
