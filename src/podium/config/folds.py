"""The section `folds` of params.yaml."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from podium.core.section import Fraction, Section


class Folds(Section):
    """How the training images are split."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "keep": "subsample",
    }

    count: Annotated[int, Field(ge=2)]
    run: Annotated[list[int], Field(min_length=1)]
    """The folds to train and ensemble; fewer than `count` for a quick look."""
    subsample: dict[str, Fraction]
    """Simulated imbalance: by class, the share of its images that is trained on; `{}` for none.
    Validation keeps all of them."""

    @model_validator(mode="after")
    def _run_names_folds(self) -> Self:
        if wrong := [fold for fold in self.run if not 0 <= fold < self.count]:
            raise ValueError(
                f"run names {wrong}, but folds.count is {self.count}: 0 to {self.count - 1}"
            )
        if len(set(self.run)) < len(self.run):
            raise ValueError("run names a fold twice")
        return self
