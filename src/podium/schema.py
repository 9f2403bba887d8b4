"""What params.yaml may hold: one frozen model a section, in the pipeline's order."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from podium.model_schema import Model
from podium.phase_schema import Count, Rate, Section, Share

MetricName = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
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
Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Competition(Section):
    """Where the competition's files come from."""

    source: Annotated[str, Field(min_length=1)]
    """`builtin`, `kaggle`, or the path of a folder or zip archive."""
    slug: Slug
    """The competition's name in its URL on Kaggle; names the archive and the submission."""
    solution: str | None = None
    """A CSV with the test images' labels, if you have them: only the report reads it."""


class Prepare(Section):
    """Where things lie in the competition's archive, and how its images are stored."""

    train_csv: str = "train.csv"
    test_csv: str | None = "test.csv"
    """null: the test ids are those of the sample submission."""
    sample_submission: str | None = "sample_submission.csv"
    """null: the submission's columns are `id_column` and `label_column`."""
    id_column: str = "id"
    label_column: str = "label"
    group_column: str | None = None
    """Images of one group (a patient, a scene) never stand in two folds."""
    train_images: str = "train"
    """The folder in the archive; "" is the whole archive."""
    test_images: str = "test"
    max_size: Annotated[int, Field(ge=8)] | None = None
    """Pixels: images whose shorter side is longer are downsized to it."""
    encode: Literal["jpeg", "png", "original"] = "jpeg"
    """How changed images are stored; `original` leaves every byte as it is and resizes nothing."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Of the JPEG encoder."""

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        columns = [self.id_column, self.label_column, self.group_column]
        if len(set(columns)) < len(columns):
            raise ValueError("id_column, label_column and group_column name a column twice")
        return self

    @model_validator(mode="after")
    def _test_ids_come_from_somewhere(self) -> Self:
        if self.test_csv is None and self.sample_submission is None:
            raise ValueError(
                "give test_csv or sample_submission: the test ids come from one of them"
            )
        if self.encode == "original" and self.max_size is not None:
            raise ValueError("encode: original resizes nothing: set max_size: null")
        return self


class Folds(Section):
    """How the training images are split."""

    count: Annotated[int, Field(ge=2)]
    run: Annotated[list[int], Field(min_length=1)]
    """The folds to train and ensemble; fewer than `count` for a quick look."""
    keep: dict[str, Share]
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


class Checkpoint(Section):
    """How much of a training an interruption may cost: an epoch, or less."""

    every_minutes: Rate
    """A checkpoint is written after each epoch, and within one after so many minutes."""


class Predict(Section):
    """Test-time augmentation."""

    views: Annotated[list[ViewName], Field(min_length=1)]
    """Their logits are averaged."""
    batch_size: Count = 64
    """Images a step."""
    time_limit_minutes: Rate | None = None
    """Of one model and fold on all test images; null: none."""
    when_late: Literal["fail", "fewer_views"] = "fail"
    """What to do where they would take longer; the last views are left out first."""

    @model_validator(mode="after")
    def _there_is_a_limit_to_be_late_for(self) -> Self:
        if self.when_late != "fail" and self.time_limit_minutes is None:
            raise ValueError("when_late needs time_limit_minutes")
        return self

    @field_validator("views")
    @classmethod
    def _each_view_once(cls, views: list[ViewName]) -> list[ViewName]:
        if len(set(views)) < len(views):
            raise ValueError("a view is named twice")
        return views


class Ensemble(Section):
    """Which models make the submission, and how."""

    members: Annotated[list[str], Field(min_length=1)]
    method: Literal["mean", "weighted"] = "mean"
    """Of logits; `weighted`: the weights that minimise the out-of-fold log loss."""


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    deterministic: bool
    metric: MetricName
    competition: Competition
    prepare: Prepare
    folds: Folds
    checkpoint: Checkpoint
    models: Annotated[dict[Slug, Model], Field(min_length=1)]
    predict: Predict
    ensemble: Ensemble

    @model_validator(mode="after")
    def _members_are_models(self) -> Self:
        members = self.ensemble.members
        if unknown := [name for name in members if name not in self.models]:
            raise ValueError(
                f"ensemble.members names {unknown}; models has {', '.join(self.models)}"
            )
        if len(set(members)) < len(members):
            raise ValueError("ensemble.members names a model twice")
        return self
