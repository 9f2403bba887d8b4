"""Checks of params.yaml against the registries, and of its sections against each other.

A check yields a key and what is wrong with its value. Registries that import torch are imported
inside their check: not every command needs them.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from podium.core.errors import UserError, nearest
from podium.scoring import metrics

if TYPE_CHECKING:
    from podium.params.schema import Params

Problem = tuple[str, str]  # a dotted key, and what is wrong


def problems(params: "Params") -> list[Problem]:
    """Run all checks."""
    return [problem for check in CHECKS for problem in check(params)]


def _unknown(kind: str, name: str, registry: Iterable[str]) -> str:
    names = list(registry)
    hint = nearest(name, names) or f". Choose from {', '.join(names)}."
    return f"unknown {kind} {name}{hint}"


def _metric(params: "Params") -> Iterator[Problem]:
    if params.metric is not None:
        try:
            metrics.check_name(params.metric, params.task)
        except ValueError as error:
            yield "metric", str(error)


def _views(params: "Params") -> Iterator[Problem]:
    from podium.prediction.tta import VIEWS

    for index, view in enumerate(params.predict.views):
        if view not in VIEWS:
            yield f"predict.views[{index}]", _unknown("view", view, VIEWS)


def _blending(params: "Params") -> Iterator[Problem]:
    from podium.submission.blend import METHODS

    if params.ensemble.method not in METHODS:
        yield "ensemble.method", _unknown("blending method", params.ensemble.method, METHODS)


def _losses(params: "Params") -> Iterator[Problem]:
    for name, model in params.models.items():
        if model.loss is None and model.class_weights is None and model.focal_gamma is None:
            continue  # a default needs no check, whose imports take seconds
        from podium.models import losses

        try:
            losses.of(model, params.task)
        except UserError as error:
            key, _, text = str(error).partition(": ")
            yield f"models.{name}.{key}", text


def _members(params: "Params") -> Iterator[Problem]:
    for index, name in enumerate(params.ensemble.members):
        if name not in params.models:
            yield f"ensemble.members[{index}]", _unknown("model", name, params.models)


def _sizes(params: "Params") -> Iterator[Problem]:
    name, size = max(((n, m.image_size) for n, m in params.models.items()), key=lambda m: m[1])
    if params.prepare.max_size is not None and params.prepare.max_size < size:
        yield (
            "prepare.max_size",
            f"{params.prepare.max_size} is less than models.{name}.image_size ({size}), so images "
            f"would be upscaled. Set it to {size} or more, or to null.",
        )


def _task(params: "Params") -> Iterator[Problem]:
    """Settings that suit some tasks only."""
    task = params.task
    single_label = task in ("binary", "multiclass", "ordinal")
    if params.prepare.label_separator != " " and task != "multilabel":
        yield "prepare.label_separator", "requires task: multilabel"
    if params.prepare.positive_class is not None and task != "binary":
        yield "prepare.positive_class", "requires task: binary"
    if params.prepare.label_variants != "error" and task in ("ordinal", "regression"):
        yield "prepare.label_variants", f"has no effect with task: {task}. Remove it."
    if params.folds.subsample and not single_label:
        yield "folds.subsample", "requires a single-label task"
    for name, model in params.models.items():
        key = f"models.{name}"
        if model.class_weights is not None and not single_label:
            yield f"{key}.class_weights", "requires a single-label task"
        if model.sampling == "balanced" and not single_label:
            yield f"{key}.sampling", "balanced requires a single-label task"
        if model.label_smoothing and task == "regression":
            yield f"{key}.label_smoothing", "not supported with task: regression"


CHECKS = (_metric, _views, _losses, _blending, _members, _sizes, _task)
