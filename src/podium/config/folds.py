"""The section `folds` of params.yaml."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from podium.core.paths import Fold
from podium.core.section import Fraction, Name, Section, Slug, Unique, require


class Folds(Section):
    """How the training images are split for cross-validation."""

    RENAMED: ClassVar = {"keep": "subsample", "duplicates": "prepare.duplicates"}

    count: Annotated[int, Field(ge=2)]
    """Number of folds."""
    run: Annotated[list[int], Field(min_length=1), Unique]
    """Folds to train and ensemble, numbered from 0. List one fold for a quick experiment."""
    all: Annotated[list[Slug], Unique]
    """Models to train once more, on all folds, for as many epochs as the folds suggest (see
    below)."""
    subsample: dict[Name, Fraction]
    """Simulated class imbalance: the fraction of training images to keep, per class. `{}` keeps
    all. Validation always uses all images."""

    def of(self, member: str) -> list[Fold]:
        """The folds of a member, in the order in which its test predictions are averaged."""
        folds: list[Fold] = [*sorted(self.run)]
        return [*folds, "all"] if member in self.all else folds

    @model_validator(mode="after")
    def _run_lists_existing_folds(self) -> Self:
        unknown = [fold for fold in self.run if not 0 <= fold < self.count]
        allowed = f"With count: {self.count}, use 0 to {self.count - 1}."
        require(not unknown, f"run lists folds that do not exist: {unknown}. {allowed}")
        return self
