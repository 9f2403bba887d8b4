"""What params.yaml may hold: one frozen model a section, in the pipeline's order."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from podium.model_schema import Model
from podium.phase_schema import Count, Rate, Section, Share
from podium.task_schema import KNOWN_METRICS, LOSSES, METRICS, OWN_METRIC, Task, family

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

    train_csv: str | None = "train.csv"
    """null: the labels are the folders in `train_images`, one a class."""
    test_csv: str | None = "test.csv"
    """null: the test ids are those of the sample submission, else the files in `test_images`."""
    sample_submission: str | None = "sample_submission.csv"
    """null: the submission's columns follow from `id_column`, `label_column` and `submission`."""
    id_column: str | None = "id"
    """null: the ids are the rows' numbers, from 1 (of the test table: the sample submission's, in
    its order)."""
    label_column: str | Annotated[list[str], Field(min_length=2)] = "label"
    """A list: one column a class, of 0 and 1."""
    label_separator: Annotated[str, Field(min_length=1)] = " "
    """Of several labels in one column (`task: multilabel`)."""
    label_variants: Literal["error", "merge", "keep"] = "error"
    """Labels that differ in case or stray spaces only: an error; one label, the commonest spelling;
    or different labels."""
    group_column: str | None = None
    """Images of one group (a patient, a scene) never stand in two folds."""
    train_images: str = "train"
    """The folder in the archive; "" is the whole archive."""
    test_images: str = "test"
    pixel_columns: str | None = None
    """The images stand in the tables: the columns of this name followed by numbers (`pixel0`,
    `pixel1`, …; "" for `1x1`, `1x2`, …), row by row of a square image, grey or RGB."""
    pixel_order: Literal["interleaved", "planar"] = "interleaved"
    """Of RGB pixels in tables: R, G, B of each pixel, or all R, then all G, then all B."""
    on_bad_image: Literal["error", "skip", "blank"] = "error"
    """What to do with an image that is missing or cannot be decoded: `skip` leaves it out of
    training, and of the test it is an error; `blank` does too, and takes a black test image."""
    max_size: Annotated[int, Field(ge=8)] | None = None
    """Pixels: images whose shorter side is longer are downsized to it."""
    encode: Literal["jpeg", "png", "original"] = "jpeg"
    """How changed images are stored; `original` leaves every byte as it is and resizes nothing."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Of the JPEG encoder."""

    @property
    def label_columns(self) -> list[str]:
        """`label_column` as a list."""
        one = isinstance(self.label_column, str)
        return [self.label_column] if one else [*self.label_column]  # type: ignore[list-item]

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        named = [self.id_column, *self.label_columns, self.group_column]
        columns = [name for name in named if name is not None]
        if len(set(columns)) < len(columns):
            raise ValueError("id_column, label_column and group_column name a column twice")
        return self

    @model_validator(mode="after")
    def _the_labels_come_from_somewhere(self) -> Self:
        if self.train_csv is None and (self.group_column is not None or self.pixel_columns):
            raise ValueError("group_column and pixel_columns are of a train_csv")
        if self.pixel_columns is None and self.train_csv is not None and self.id_column is None:
            raise ValueError("id_column: null is for pixel_columns: image files are named by ids")
        if self.pixel_columns is not None and self.test_csv is None:
            raise ValueError("pixel_columns needs a test_csv: the test images stand in it")
        if self.pixel_columns is None and self.pixel_order != "interleaved":
            raise ValueError("pixel_order is of pixel_columns")
        return self

    @model_validator(mode="after")
    def _original_bytes_stay(self) -> Self:
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
    """Of logits; `weighted`: the weights with the least out-of-fold loss."""
    thresholds: Literal["fitted", "plain"] = "fitted"
    """Where the metric takes labels: from which probability, or between which numbers, a label is
    given. `fitted` on the out-of-fold predictions (binary, multilabel, ordinal and regression);
    `plain`: 0.5, the likeliest, rounded."""


class Submission(Section):
    """What the CSV for Kaggle holds."""

    form: Literal[
        "auto", "label", "number", "probability", "columns", "labels", "top_k", "value"
    ] = "auto"
    """auto: as the sample submission. `label`: the class; `number`: its place among the classes,
    from 0; `probability`: of the second of two classes; `columns`: one a class; `labels`: several
    in one column; `top_k`: the likeliest `top` in one column; `value`: a number."""
    top: Count | None = None
    """Of `top_k`; null: as many as the sample submission has, else the metric's k."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Of several labels in one column; null: as the sample submission, else a space."""

    @model_validator(mode="after")
    def _top_and_separator_are_used(self) -> Self:
        if self.top is not None and self.form not in ("auto", "top_k"):
            raise ValueError(f"top is of form: top_k, not of {self.form}")
        if self.separator is not None and self.form not in ("auto", "top_k", "labels"):
            raise ValueError(f"separator is of form: labels or top_k, not of {self.form}")
        return self


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    deterministic: bool
    task: Task
    metric: str | None
    competition: Competition
    prepare: Prepare
    folds: Folds
    checkpoint: Checkpoint
    models: Annotated[dict[Slug, Model], Field(min_length=1)]
    predict: Predict
    ensemble: Ensemble
    submission: Submission

    @field_validator("metric")
    @classmethod
    def _metric_has_a_name(cls, metric: str | None) -> str | None:
        if metric is None or OWN_METRIC.fullmatch(metric):
            return metric
        if metric == "map@k" or family(metric) not in KNOWN_METRICS:
            known = ", ".join(KNOWN_METRICS)
            raise ValueError(f"must be one of {known} (as map@5), or module:function")
        return metric

    @model_validator(mode="after")
    def _metric_and_losses_suit_the_task(self) -> Self:
        metric, known = self.metric, METRICS[self.task]
        if metric is not None and ":" not in metric and family(metric) not in known:
            raise ValueError(f"metric: {metric} is none of task: {self.task}: {', '.join(known)}")
        for name, model in self.models.items():
            if model.loss is not None and model.loss not in LOSSES[self.task]:
                raise ValueError(
                    f"models.{name}.loss: {model.loss} is none of task: {self.task}: "
                    f"{', '.join(LOSSES[self.task])}"
                )
        return self

    @model_validator(mode="after")
    def _classes_are_what_the_task_has(self) -> Self:
        single = self.task in ("binary", "multiclass", "ordinal")
        if self.prepare.label_separator != " " and self.task != "multilabel":
            raise ValueError("prepare.label_separator is of task: multilabel")
        if self.prepare.label_variants != "error" and self.task in ("ordinal", "regression"):
            raise ValueError(f"prepare.label_variants is of names, not of task: {self.task}")
        if self.folds.keep and not single:
            raise ValueError(f"folds.keep: an image of task: {self.task} has no one class")
        for name, model in self.models.items():
            if not single and (model.class_weights is not None or model.sampling == "balanced"):
                raise ValueError(
                    f"models.{name}: class_weights and sampling: balanced are of tasks with one "
                    f"class an image, not of task: {self.task}"
                )
            if model.class_weights is not None and self.loss_of(model) == "cumulative":
                raise ValueError(f"models.{name}: class_weights is not for loss: cumulative")
            if model.label_smoothing and self.task == "regression":
                raise ValueError(f"models.{name}.label_smoothing is for classes, not for numbers")
        return self

    def loss_of(self, model: Model) -> str:
        """The name of the model's loss: its own, or the task's."""
        return model.loss or LOSSES[self.task][0]

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
