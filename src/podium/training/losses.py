"""Losses of soft targets."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from podium.config.models import Model
from podium.core.errors import UserError
from podium.models.targets import TargetCodec

FOCAL_GAMMA = 2.0  # https://arxiv.org/abs/1708.02002


class Loss(nn.Module):
    """The loss of a batch: outputs [B, outputs] and soft targets [B, C] -> a number.

    Each class's share in a target counts `weights` [C] times; the sum is divided by the weights
    of the batch, so that a batch of rare images is no larger a step. Without weights it is the
    mean. For plain labels it is what torch's losses give. Binary cross-entropy of one logit a class
    has no share of a class: there an image counts as much as its shares together.
    """

    weights: Tensor

    def __init__(self, config: Model, coding: TargetCodec, weights: Tensor) -> None:
        super().__init__()
        self.kind, self.gamma = coding.loss, config.focal_gamma
        self.register_buffer("weights", weights)

    def weight(self, targets: Tensor) -> Tensor:
        """What the loss of `targets` [B, C] is divided by: its part in that of a larger batch."""
        return (targets * self.weights).sum()

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        values, weights = values.float(), targets * self.weights
        if self.kind == "binary_cross_entropy" and values.shape[1] > 1:
            each = F.binary_cross_entropy_with_logits(values, targets, reduction="none").mean(1)
            return (each * weights.sum(1)).sum() / weights.sum()
        if self.kind == "binary_cross_entropy":
            log_p = torch.cat([F.logsigmoid(-values), F.logsigmoid(values)], dim=1)
        else:
            log_p = F.log_softmax(values, dim=1)
        each = -log_p
        if self.kind == "focal":
            gamma = FOCAL_GAMMA if self.gamma is None else self.gamma
            doubt = (-torch.expm1(log_p)).clamp(min=1e-6)  # 0 has no gradient for gamma < 1
            each = each * doubt**gamma
        return (each * weights).sum() / weights.sum()


class ElementLoss(nn.Module):
    """The mean of torch's loss of each output [B, outputs] against a target of its own: several
    labels, steps between grades, numbers.
    """

    def __init__(self, coding: TargetCodec) -> None:
        super().__init__()
        self.each = ELEMENTS[coding.loss]

    def weight(self, targets: Tensor) -> Tensor:
        """What the loss of `targets` [B, outputs] is divided by: its part in that of a larger
        batch.
        """
        return torch.tensor(float(len(targets)), device=targets.device)

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        return self.each(values.float(), targets)


ELEMENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "cumulative": F.binary_cross_entropy_with_logits,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}


AnyLoss = Loss | ElementLoss


def create(config: Model, coding: TargetCodec, targets: np.ndarray) -> AnyLoss:
    """The model's loss on training images of the classes `targets`.

    Raises:
        UserError: as `class_weights`.
    """
    if coding.task.one_class and coding.loss != "cumulative":
        return Loss(config, coding, class_weights(config, targets, coding.task.classes))
    return ElementLoss(coding)


def class_weights(config: Model, targets: np.ndarray, labels: Sequence[str]) -> Tensor:
    """The classes' weights in the loss, float32 [C]: `config.class_weights` for the classes
    `targets` [N] of the training images. `balanced` is scikit-learn's formula; a class without
    images weighs nothing.

    Raises:
        UserError: if there are not as many weights as classes.
    """
    classes = len(labels)
    if config.class_weights is None:
        return torch.ones(classes)
    if config.class_weights == "balanced":
        from sklearn.utils.class_weight import compute_class_weight

        present, weights = np.unique(targets), np.zeros(classes)
        weights[present] = compute_class_weight("balanced", classes=present, y=targets)
        return torch.as_tensor(weights, dtype=torch.float32)
    if len(config.class_weights) != classes:
        raise UserError(
            f"class_weights has {len(config.class_weights)} numbers for {classes} classes: "
            f"{', '.join(labels)}"
        )
    return torch.as_tensor(config.class_weights, dtype=torch.float32)
