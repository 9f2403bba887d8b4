"""What params.yaml may hold: one frozen model a section, in the pipeline's order."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

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
Transform = dict[str, dict[str, Any] | None]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of params.yaml: cannot be changed, knows all its keys, converts no types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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

    @model_validator(mode="after")
    def _run_names_folds(self) -> Self:
        if wrong := [fold for fold in self.run if not 0 <= fold < self.count]:
            raise ValueError(
                f"run names {wrong}, but folds.count is {self.count}: 0 to {self.count - 1}"
            )
        if len(set(self.run)) < len(self.run):
            raise ValueError("run names a fold twice")
        return self


class Phase(Section):
    """One part of a model's training."""

    epochs: Count
    trainable: Literal["all", "head"] = "all"
    lr: Rate
    """Peak learning rate of the head."""
    backbone_lr: Rate | None = None
    """Peak learning rate of the rest; null: `lr`."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Linear warm-up before the cosine."""
    optimizer: str = "adamw"
    """Any name of `timm.optim.list_optimizers()`; `sgd` has Nesterov momentum 0.9."""
    batch_norm: Literal["update", "freeze"] = "update"
    """freeze: batch norms keep their running statistics, as those of frozen parts always do."""

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError("warmup_epochs must be fewer than epochs")
        return self


class Model(Section):
    """One model of the ensemble: what it is and how it is trained."""

    architecture: str
    """Any name of `timm.list_models()`."""
    pretrained: bool | str = True
    """true: timm's weights from the hub; false: none; a path: that weights file."""
    image_size: Annotated[int, Field(ge=16)]
    """Pixels a side."""
    fit: Literal["crop", "squash", "pad"] = "crop"
    """How an image that augmentation does not crop becomes square."""
    augment: list[Transform] = []
    """albumentations transforms with their arguments, for training only."""
    phases: Annotated[list[Phase], Field(min_length=1)]
    batch_size: Count
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the head's linear layer."""
    patience: Count | None = None
    """End a phase after so many epochs without a better score (at the same score, a lower
    validation loss); null: never."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """auto: bf16 or fp16 where the device has it, else fp32."""

    @field_validator("augment")
    @classmethod
    def _one_transform_an_entry(cls, augment: list[Transform]) -> list[Transform]:
        for entry in augment:
            if len(entry) != 1:
                raise ValueError(f"one transform an entry, as `- Name: {{arguments}}`, not {entry}")
        return augment


class Predict(Section):
    """Test-time augmentation."""

    views: Annotated[list[ViewName], Field(min_length=1)]
    """Their logits are averaged."""
    batch_size: Count = 64

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
    deterministic: bool = True
    metric: MetricName
    competition: Competition
    prepare: Prepare
    folds: Folds
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
