"""What a loss defines, and the loss that most others build on."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
from timm.data.mixup import mixup_target
from torch import Tensor

from podium.config.models import Model
from podium.config.tasks import TaskName
from podium.core.provenance import Averaging
from podium.scoring.task import Task


@dataclass(frozen=True)
class Loss:
    """One loss; B images, C classes, O outputs per image.

    `to_logits` must return logits whose softmax (for multilabel, sigmoid) is the class
    probabilities, so that models trained with different losses can be blended.
    """

    class_weights: ClassVar[bool] = False
    """Whether the loss supports class weights: for single-label tasks, each row of its targets
    [B, C] then sums to the image's weight (1 without class weights)."""
    averaging: ClassVar[Averaging] = "logits"
    """What is averaged over views, folds and models. Averaging logits suits most losses. It does
    not where a class can get the probability 0, since the mean of log-probabilities lets a single
    prediction rule the class out; "probabilities" requires one class per image."""
    cosine_head: ClassVar[bool] = False
    """Whether the outputs must be cosines: see `heads.CosineLinear`."""
    arguments: ClassVar[tuple[str, ...]] = ()
    """Keys of a model's section that only this loss reads; see `configure`."""

    _: KW_ONLY
    tasks: tuple[TaskName, ...]
    default_for: tuple[TaskName, ...] = ()

    def configure(self, config: Model) -> "Loss":
        """Return the loss with the `arguments` that `config` sets."""
        return self

    def outputs(self, task: Task) -> int:
        """Outputs O of the model's head per image."""
        return len(task.classes)

    def encode(self, targets: Tensor, task: Task, smoothing: float) -> Tensor:
        """Targets as `Task.targets` returns them, or class probabilities [B, C] -> float targets
        for `loss`, [B, C] or [B, O].
        """
        raise NotImplementedError

    def to_logits(self, outputs: Tensor, task: Task) -> Tensor:
        """Outputs [B, O] -> logits [B, C]."""
        return outputs

    def linear_probe(self, targets: np.ndarray, task: Task) -> tuple[Task, np.ndarray]:
        """The task, and its targets, whose linear model has the outputs of this loss (or for two
        classes both logits). `targets`: as `Task.targets` returns them, numbers standardized.
        """
        return task, targets

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        """The mean loss of a batch: float32 outputs [B, O] and encoded targets -> a scalar."""
        raise NotImplementedError


class CrossEntropy(Loss):
    """Softmax cross-entropy with soft targets, one output per class."""

    class_weights = True

    def linear_probe(self, targets: np.ndarray, task: Task) -> tuple[Task, np.ndarray]:
        return Task("multiclass", task.classes), targets

    def encode(self, targets: Tensor, task: Task, smoothing: float) -> Tensor:
        if targets.ndim > 1:
            return targets * (1 - smoothing) + smoothing / len(task.classes)
        return mixup_target(targets, len(task.classes), smoothing=smoothing)

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        return weighted_mean(-outputs.log_softmax(dim=1), targets)


def weighted_mean(per_class: Tensor, targets: Tensor) -> Tensor:
    """The mean of `per_class` [B, C], weighted by targets [B, C] whose rows sum to the images'
    weights.

    Dividing by the batch's own weight keeps steps equal in size when a batch has more of a heavy
    class; for hard labels it is what torch's losses do.
    """
    return (per_class * targets).sum() / targets.sum()
