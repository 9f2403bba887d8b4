"""Check views and losses, which users may add: apply them to random values of the right shapes."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from podium.config.embeddings import Embedding
from podium.config.models import Model
from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.tasks import SINGLE_LABEL, TaskName
from podium.core.errors import UserError
from podium.core.validation import Problem
from podium.models import losses, target_losses
from podium.models.loss import Loss
from podium.prediction.tta import VIEWS
from podium.scoring.task import Task

BATCH = 2


def problems(
    predict: Predict,
    models: dict[str, Model],
    embeddings: dict[str, Embedding],
    task: TaskName,
    prepare: Prepare | None = None,
) -> Iterator[Problem]:
    """What is wrong with the views and losses that are used, by their results. `prepare` has the
    tasks of several targets.
    """
    sections = {"predict": (predict.views, {model.image_size for model in models.values()})}
    for name, embedding in embeddings.items():
        sections[f"embeddings.{name}"] = embedding.views, {embedding.image_size}
    for section, (views, sizes) in sections.items():
        for index, view in enumerate(views):
            texts = (_view_problem(view, size) for size in sizes if view in VIEWS)
            if text := next(filter(None, texts), None):
                yield f"{section}.views[{index}]", f"{view} {text}"
    for name, model in models.items():
        try:
            used = _losses(model, task, prepare)
        except UserError:
            continue  # reported by `checks`
        for loss, of_task in used:
            classes = {"regression": ["0"], "binary": ["0", "1"]}.get(of_task, list("012"))
            if text := _loss_problem(loss, Task(of_task, classes)):
                yield f"models.{name}.loss", text


def _losses(model: Model, task: TaskName, prepare: Prepare | None) -> list[tuple[Loss, TaskName]]:
    """The losses of a model, with the task of each."""
    if task != "multitarget" or prepare is None:
        return [(losses.of(model, task), task)]
    tasks: Mapping[str, TaskName] = prepare.target_tasks
    configs = target_losses.configs(model, tasks)
    return [(losses.of(configs[name], tasks[name]), tasks[name]) for name in tasks]


def _view_problem(name: str, size: int) -> str | None:
    images = torch.rand(BATCH, 3, size, size, generator=torch.Generator().manual_seed(0))
    original = images.clone()
    viewed: Any = VIEWS[name](images)
    if not torch.equal(images, original):
        return "changes the images in place, so that other views see them. Return new ones."
    if text := _unlike(viewed, images.shape):
        return f"must return images like its input, but returns {text}"
    if not torch.allclose(VIEWS[name](images[1:]), viewed[1:], atol=1e-4):
        return "returns other images for a part of a batch: it mixes images, or is random"
    return None


def _loss_problem(loss: Loss, task: Task) -> str | None:
    count = loss.outputs(task)
    if not isinstance(count, int) or count < 1:
        return f"outputs must return a positive integer, not {count!r}"
    if loss.averaging == "probabilities" and task.name not in SINGLE_LABEL:
        return "averaging = 'probabilities' requires a single-label task"
    if loss.averaging not in ("logits", "probabilities"):
        return f"averaging must be 'logits' or 'probabilities', not {loss.averaging!r}"
    return _results_problem(loss, task, count)


def _results_problem(loss: Loss, task: Task, count: int) -> str | None:
    classes = len(task.classes)
    outputs = torch.randn(BATCH, count, generator=torch.Generator().manual_seed(0))
    outputs.requires_grad_()
    targets = torch.arange(BATCH) if task.single_label else torch.zeros(BATCH, classes)
    encoded = loss.encode(targets, task, 0.0)
    value: Any = loss.loss(outputs, encoded, task)
    if text := _unlike(value, torch.Size()):
        return f"loss must return one number, but returns {text}"
    if not value.requires_grad:
        return "loss must return a tensor that depends on the outputs, for its gradient"
    if loss.class_weights and task.single_label and not (encoded.sum(1) == 1).all():
        return "encode must return rows with the sum 1, which class weights multiply"
    if text := _unlike(loss.to_logits(outputs, task), torch.Size((BATCH, classes))):
        return f"to_logits must return one logit per image and class, but returns {text}"
    return None


def _unlike(value: Any, shape: torch.Size) -> str | None:
    """How `value` differs from a finite float32 tensor of `shape`; None if it does not."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__} instead of a tensor"
    if value.shape != shape:
        return f"shape {list(value.shape)} instead of {list(shape)}"
    if value.dtype != torch.float32:
        return f"{value.dtype} instead of torch.float32"
    return None if value.isfinite().all() else "values that are not finite"
