"""Checks of params.yaml against the registries, and of its sections against each other.

A check's parameters are the sections that it needs. It yields keys and what is wrong with their
values. Registries that import torch, which takes seconds, are imported inside their check.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from podium.config.embeddings import Embedding
from podium.config.ensemble import Ensemble
from podium.config.folds import Folds
from podium.config.models import Model
from podium.config.phases import Plateau
from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.probes import Probe
from podium.config.submission import FORMATS, Submission
from podium.config.tasks import SINGLE_LABEL, TargetTask, TaskName
from podium.core.validation import Problem
from podium.params import image_pool_checks, libraries, probe_checks, target_checks
from podium.params.probe_checks import unknown
from podium.scoring import metrics, user_code

LOSS_OPTIONS = ("loss", "class_weights", "focal_gamma", "arcface_margin", "arcface_scale")


def problems(sections: Mapping[str, Any]) -> list[Problem]:
    """Run the checks for which all sections are given (those that are valid by themselves)."""
    result: list[Problem] = []
    for check in CHECKS:
        needs = inspect.signature(check).parameters.keys()
        if needs <= sections.keys():
            result += check(**{name: sections[name] for name in needs})
    return result


def _metric(metric: str | None, task: TaskName, prepare: Prepare) -> Iterator[Problem]:
    targets = prepare.target_tasks if task == "multitarget" else None
    if metric is not None and (text := _metric_problem(metric, task, targets)):
        yield "metric", text


def _metric_problem(
    metric: str | None, task: TaskName, targets: Mapping[str, TargetTask] | None = None
) -> str | None:
    if metric is not None:
        try:
            metrics.check_name(metric, task, targets)
        except ValueError as error:
            return str(error)
    return None


def _views(predict: Predict, embeddings: dict[str, Embedding]) -> Iterator[Problem]:
    from podium.prediction.tta import VIEWS

    sections = {"predict": predict.views}
    sections |= {f"embeddings.{name}": embedding.views for name, embedding in embeddings.items()}
    for section, views in sections.items():
        for index, view in enumerate(views):
            if view not in VIEWS:
                yield f"{section}.views[{index}]", unknown("view", view, VIEWS)


def _neighbors(predict: Predict, task: TaskName) -> Iterator[Problem]:
    if predict.neighbors is not None and task not in SINGLE_LABEL:
        yield "predict.neighbors", "requires a single-label task"


def _blending(ensemble: Ensemble, metric: str | None, task: TaskName) -> Iterator[Problem]:
    """What suits a user-defined metric depends on its code, which the stage `check` loads."""
    from podium.submission import blend

    if ensemble.method not in blend.METHODS:
        yield "ensemble.method", unknown("blending method", ensemble.method, blend.METHODS)
    elif not _metric_problem(metric, task) and not user_code.is_user_defined(metric or ""):
        yield from blend.problems(ensemble, metrics.get(metric, task))


def _losses(models: dict[str, Model], task: TaskName, prepare: Prepare) -> Iterator[Problem]:
    for name, model in models.items():
        if task == "multitarget":
            yield from target_checks.losses(name, model, prepare)
            continue
        if model.target_weights is not None:
            yield f"models.{name}.target_weights", "requires task: multitarget"
        if all(getattr(model, key) is None for key in LOSS_OPTIONS):
            continue
        from podium.models import losses

        problems: list[Problem] = []
        with libraries.collect(problems, f"models.{name}"):
            losses.of(model, task)
        yield from problems


def _members(
    ensemble: Ensemble, models: dict[str, Model], probes: dict[str, Probe]
) -> Iterator[Problem]:
    known = [*models, *probes]
    for index, name in enumerate(ensemble.members):
        if known and name not in known:
            yield f"ensemble.members[{index}]", unknown("model or probe", name, known)


def _trained_on_all(folds: Folds, models: dict[str, Model]) -> Iterator[Problem]:
    for index, name in enumerate(folds.all):
        at = f"folds.all[{index}]"
        if name not in models:
            yield at, unknown("model", name, models)
            continue
        model, problem = models[name], "{} requires a held-out fold. Change it, or do not list {}."
        if any(phase.init_from == "best" for phase in model.phases):
            yield at, problem.format(f"models.{name}: init_from: best", name)
        if any(isinstance(phase.schedule, Plateau) for phase in model.phases):
            yield at, problem.format(f"models.{name}: schedule: plateau", name)
        if model.average_checkpoints is not None and model.average_checkpoints.best is not None:
            yield at, problem.format(f"models.{name}.average_checkpoints.best", name)
        if model.pseudo_labels is not None:
            yield (
                at,
                f"models.{name}.pseudo_labels: each fold has its own labels, and all folds have "
                f"none. Remove them, or do not list {name}.",
            )


def _names(models: dict[str, Model], probes: dict[str, Probe]) -> Iterator[Problem]:
    if not models and not probes:
        yield "models", "must have 1 or more items, unless there are probes."
    for section, names in (("models", models), ("probes", probes)):
        if "ensemble" in names:  # a key of the scores in the report
            yield f"{section}.ensemble", "ensemble is reserved for the blend. Choose another name."
    for name in models.keys() & probes.keys():
        yield f"probes.{name}", f"models.{name} has the same name. Choose another."


def _sizes(
    prepare: Prepare, models: dict[str, Model], embeddings: dict[str, Embedding]
) -> Iterator[Problem]:
    sizes = {f"models.{name}": model.image_size for name, model in models.items()}
    sizes |= {f"embeddings.{name}": network.image_size for name, network in embeddings.items()}
    name = max(sizes, key=sizes.__getitem__, default=None)
    if name is not None and prepare.max_size is not None and prepare.max_size < sizes[name]:
        yield (
            "prepare.max_size",
            f"{prepare.max_size} is less than {name}.image_size ({sizes[name]}), so images would "
            f"be upscaled. Set it to {sizes[name]} or more, or to null.",
        )


def _labels(task: TaskName, metric: str | None, prepare: Prepare) -> Iterator[Problem]:
    is_several = task == "regression" and len(prepare.label_columns) > 1
    if is_several and metric in metrics.METRICS and metrics.METRICS[metric].inputs == "labels":
        yield "metric", f"{metric} supports one number per image, not a list in label_column"
    if prepare.label_separator != " " and task != "multilabel":
        yield "prepare.label_separator", "requires task: multilabel"
    if prepare.positive_class is not None and task != "binary":
        yield "prepare.positive_class", "requires task: binary"
    if prepare.label_variants != "error" and task in ("ordinal", "regression"):
        yield "prepare.label_variants", f"has no effect with task: {task}. Remove it."


def _new_class(
    task: TaskName,
    metric: str | None,
    prepare: Prepare,
    ensemble: Ensemble,
    submission: Submission,
) -> Iterator[Problem]:
    if prepare.new_class is None:
        if ensemble.new_class_threshold != "auto":
            yield "ensemble.new_class_threshold", "requires prepare.new_class"
        return
    if task != "multiclass":
        yield "prepare.new_class", "requires task: multiclass"
    elif not _metric_problem(metric, task) and not user_code.is_user_defined(metric or ""):
        from podium.submission import new_class

        if text := new_class.problem(metrics.get(metric, task)):
            yield "prepare.new_class", text
    if submission.format not in ("auto", "label", "top_k"):
        yield "submission.format", "prepare.new_class requires auto, label or top_k"


def _format(task: TaskName, submission: Submission) -> Iterator[Problem]:
    if task == "multitarget":
        return
    suitable = [name for name, tasks in FORMATS.items() if task in tasks]
    if isinstance(submission.format, dict):
        yield "submission.format", "one per target requires task: multitarget"
    elif submission.format not in ("auto", *suitable):
        yield (
            "submission.format",
            (
                f"{submission.format} does not support task: {task}. Choose from auto, "
                f"{', '.join(suitable)}."
            ),
        )


def _clip(task: TaskName, submission: Submission) -> Iterator[Problem]:
    if submission.clip is not None and task != "regression":
        yield "submission.clip", "requires task: regression"


def _subsample(task: TaskName, folds: Folds) -> Iterator[Problem]:
    if folds.subsample and task not in SINGLE_LABEL:
        yield "folds.subsample", "requires a single-label task"


def _imbalance(task: TaskName, models: dict[str, Model]) -> Iterator[Problem]:
    for name, model in models.items():
        if model.class_weights is not None and task not in SINGLE_LABEL:
            yield f"models.{name}.class_weights", "requires a single-label task"
        if model.sampling == "balanced" and task not in SINGLE_LABEL:
            yield f"models.{name}.sampling", "balanced requires a single-label task"
        if model.label_smoothing and task == "regression":
            yield f"models.{name}.label_smoothing", "not supported with task: regression"


CHECKS = (
    *(_metric, _views, _neighbors, _blending, _losses, _members, _trained_on_all, _names),
    *(probe_checks.probes, probe_checks.metadata, target_checks.columns, target_checks.submission),
    *(target_checks.unsupported, image_pool_checks.needs_units, image_pool_checks.unsupported),
    *(_sizes, _labels, _new_class, _format, _clip, _subsample, _imbalance),
)
