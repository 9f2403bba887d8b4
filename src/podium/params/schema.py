"""All of params.yaml in one model, with the checks that need several sections."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from podium.config.checkpoint import Checkpoint
from podium.config.competition import Competition
from podium.config.ensemble import Ensemble
from podium.config.folds import Folds
from podium.config.models import Model
from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.config.tasks import KNOWN_METRICS, METRICS, OWN_METRIC, TaskName, family
from podium.core import params_file
from podium.core.errors import UserError, nearest
from podium.core.section import Section, Slug


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    deterministic: bool
    task: TaskName
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
    def _metric_suits_the_task(self) -> Self:
        metric, known = self.metric, METRICS[self.task]
        if metric is not None and ":" not in metric and family(metric) not in known:
            raise ValueError(f"metric: {metric} is none of task: {self.task}: {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _losses_suit_the_task(self) -> Self:
        for name, model in self.models.items():
            if model.loss or model.class_weights or model.focal_gamma is not None:
                from podium.models import losses  # imports torch, which takes seconds

                try:
                    losses.of(model, self.task)
                except UserError as error:
                    raise ValueError(f"models.{name}.{error}") from None
        return self

    @model_validator(mode="after")
    def _classes_are_what_the_task_has(self) -> Self:
        single = self.task in ("binary", "multiclass", "ordinal")
        if self.prepare.label_separator != " " and self.task != "multilabel":
            raise ValueError("prepare.label_separator is of task: multilabel")
        if self.prepare.positive_class is not None and self.task != "binary":
            raise ValueError("prepare.positive_class requires task: binary")
        if self.prepare.label_variants != "error" and self.task in ("ordinal", "regression"):
            raise ValueError(f"prepare.label_variants is of names, not of task: {self.task}")
        if self.folds.subsample and not single:
            raise ValueError(f"folds.subsample: an image of task: {self.task} has no one class")
        for name, model in self.models.items():
            if not single and (model.class_weights is not None or model.sampling == "balanced"):
                raise ValueError(
                    f"models.{name}: class_weights and sampling: balanced are of tasks with one "
                    f"class an image, not of task: {self.task}"
                )
            if model.label_smoothing and self.task == "regression":
                raise ValueError(f"models.{name}.label_smoothing is for classes, not for numbers")
        return self

    def model(self, name: str) -> Model:
        """The model called `name`.

        Raises:
            UserError: if there is none.
        """
        if name not in self.models:
            raise UserError(f"params.yaml has no models.{name}{nearest(name, self.models)}")
        return self.models[name]

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


def validate(raw: dict[str, Any], *, source: str = str(params_file.PARAMS)) -> Params:
    """Validate a whole params file. Pure: no files, no network.

    Raises:
        UserError: naming for each problem the key, its value, and what is allowed.
    """
    params: Params = params_file.validate(Params, raw, source=source)
    return params


def load() -> Params:
    """Read and validate params.yaml.

    Raises:
        UserError: naming for each problem the key, its value, and what is allowed.
    """
    return validate(params_file.read(params_file.PARAMS))
