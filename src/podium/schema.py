"""What params.yaml may hold: one frozen model a section, in the pipeline's order."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from podium.model_schema import Model
from podium.phase_schema import Count, Rate, Section, Share
from podium.prepare_schema import Prepare
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
