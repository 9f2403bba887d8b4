"""The registry of losses: one entry defines a loss from the labels to the class logits."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from timm.data.mixup import mixup_target
from torch import Tensor

from podium.config.models import Model
from podium.config.tasks import TaskName
from podium.core.errors import UserError, nearest
from podium.models.arcface import ArcFace
from podium.models.loss import CrossEntropy, Loss, weighted_mean
from podium.scoring.task import Task

MIN_LEVEL_PROBABILITY = 1e-6
MIN_FOCAL_MISS = 1e-6  # at exactly 0 there is no gradient for gamma < 1


@dataclass(frozen=True)
class Focal(CrossEntropy):
    """Focal loss. Source: https://arxiv.org/abs/1708.02002"""

    arguments = ("focal_gamma",)
    gamma: float = 2.0

    def configure(self, config: Model) -> "Focal":
        return self if config.focal_gamma is None else replace(self, gamma=config.focal_gamma)

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        log_p = outputs.log_softmax(dim=1)
        miss = (-torch.expm1(log_p)).clamp(min=MIN_FOCAL_MISS)  # 1 - p
        return weighted_mean(-log_p * miss**self.gamma, targets)


class BinaryCrossEntropy(CrossEntropy):
    """Sigmoid cross-entropy: one output for two classes, else one output per class."""

    def outputs(self, task: Task) -> int:
        return 1 if task.single_label and len(task.classes) == 2 else len(task.classes)

    def linear_probe(self, targets: np.ndarray, task: Task) -> tuple[Task, np.ndarray]:
        """One model per output, each label against the rest."""
        if task.single_label and self.outputs(task) > 1:
            targets = np.eye(len(task.classes), dtype=np.float32)[targets]
            return Task("multilabel", task.classes), targets
        return task, targets

    def encode(self, targets: Tensor, task: Task, smoothing: float) -> Tensor:
        if task.single_label:
            return super().encode(targets, task, smoothing)
        return _smooth_labels(targets, smoothing)

    def to_logits(self, outputs: Tensor, task: Task) -> Tensor:
        """One output z becomes [0, z]. With one output per class and one class per image, the
        class probabilities are the sigmoids divided by their sum.
        """
        if not task.single_label:
            return outputs
        if outputs.shape[1] == 1:
            return torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        return F.logsigmoid(outputs)

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        if not task.single_label:
            return F.binary_cross_entropy_with_logits(outputs, targets)
        if outputs.shape[1] == 1:
            log_p = torch.cat([F.logsigmoid(-outputs), F.logsigmoid(outputs)], dim=1)
            return weighted_mean(-log_p, targets)
        # Per image of weight 1: -log p times each class's share, -log(1 - p) times the rest.
        missing = targets.sum(dim=1, keepdim=True) - targets
        per_class = -targets * F.logsigmoid(outputs) - missing * F.logsigmoid(-outputs)
        return per_class.mean(1).sum() / targets.sum()


class Cumulative(Loss):
    """Ordinal regression: output k is the logit that the level is above the k-th, O = C - 1."""

    averaging = "probabilities"  # a level's is 0 where two outputs are in the wrong order

    def outputs(self, task: Task) -> int:
        return len(task.classes) - 1

    def encode(self, targets: Tensor, task: Task, smoothing: float) -> Tensor:
        if targets.ndim > 1:  # the probability of all higher levels
            above = targets.flip(1).cumsum(1).flip(1)[:, 1:]
            return above * (1 - smoothing) + smoothing / 2
        levels = torch.arange(self.outputs(task), device=targets.device)
        return _smooth_labels((targets[:, None] > levels).float(), smoothing)

    def linear_probe(self, targets: np.ndarray, task: Task) -> tuple[Task, np.ndarray]:
        above = targets[:, None] > np.arange(self.outputs(task))
        return Task("multilabel", task.classes[1:]), above.astype(np.float32)

    def to_logits(self, outputs: Tensor, task: Task) -> Tensor:
        """A level's probability is the difference of two neighboring sigmoids, made monotonic."""
        above = outputs.sigmoid().cummin(dim=1).values  # [B, C - 1]
        bounds = torch.cat([torch.ones_like(above[:, :1]), above, 0 * above[:, :1]], dim=1)
        return (bounds[:, :-1] - bounds[:, 1:]).clamp(min=MIN_LEVEL_PROBABILITY).log()

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets)


@dataclass(frozen=True)
class Regression(Loss):
    """A torch loss of standardized numbers, one output."""

    function: Callable[[Tensor, Tensor], Tensor]

    def encode(self, targets: Tensor, task: Task, smoothing: float) -> Tensor:
        return targets

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        return self.function(outputs, targets)


LOSSES: dict[str, Loss] = {
    "cross_entropy": CrossEntropy(
        tasks=("binary", "multiclass", "ordinal"), default_for=("multiclass",)
    ),
    "binary_cross_entropy": BinaryCrossEntropy(
        tasks=("binary", "multiclass", "multilabel", "ordinal"),
        default_for=("binary", "multilabel"),
    ),
    "focal": Focal(tasks=("binary", "multiclass", "ordinal")),
    "arcface": ArcFace(tasks=("multiclass",)),
    "cumulative": Cumulative(tasks=("ordinal",), default_for=("ordinal",)),
    "mse": Regression(F.mse_loss, tasks=("regression",), default_for=("regression",)),
    "mae": Regression(F.l1_loss, tasks=("regression",)),
    "huber": Regression(F.huber_loss, tasks=("regression",)),
}


def names(task: TaskName) -> list[str]:
    """The losses that `task` can use, its default first."""
    usable = [name for name, loss in LOSSES.items() if task in loss.tasks]
    return sorted(usable, key=lambda name: task not in LOSSES[name].default_for)


def needs_cosines(config: Model) -> bool:
    """Whether the outputs of the model that `config` describes must be cosines."""
    loss = LOSSES.get(config.loss) if isinstance(config.loss, str) else None
    return loss is not None and loss.cosine_head


def arguments() -> list[str]:
    """The keys of a model's section that only some losses read."""
    return sorted({key for loss in LOSSES.values() for key in loss.arguments})


def of(config: Model, task: TaskName) -> Loss:
    """Return the loss that `config` names, or the default of `task`, with its arguments.

    Raises:
        UserError: if there is no such loss, if it does not support `task`, or if `config` sets
            something that only other losses use.
    """
    usable = names(task)
    if isinstance(config.loss, dict):
        raise UserError("loss: one per target requires task: multitarget. Set one loss.")
    name = config.loss or usable[0]
    if name not in LOSSES:
        hint = nearest(name, LOSSES) or f". Choose from {', '.join(usable)}."
        raise UserError(f"loss: unknown loss {name}{hint}")
    if name not in usable:
        raise UserError(
            f"loss: {name} does not support task: {task}. Choose from {', '.join(usable)}."
        )
    loss = LOSSES[name]
    unused = [key for key in arguments() if key not in loss.arguments]
    if not loss.class_weights:
        unused.append("class_weights")
    for key in unused:
        if getattr(config, key) is not None:
            raise UserError(f"{key}: not used by loss: {name}. Remove {key}.")
    return loss.configure(config)


def _smooth_labels(targets: Tensor, smoothing: float) -> Tensor:
    """Pull each of several independent 0/1 labels [B, O] towards 1/2."""
    return mixup_target(targets, targets.shape[1], smoothing=smoothing, multi_label=True)
