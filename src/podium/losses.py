"""Losses of soft targets, and how a model's outputs become logits of the classes."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from podium.errors import UserError
from podium.model_schema import Model

FOCAL_GAMMA = 2.0  # https://arxiv.org/abs/1708.02002


def outputs(config: Model, classes: int) -> int:
    """How many numbers the model gives an image: one for two classes with binary cross-entropy."""
    return 1 if config.loss == "binary_cross_entropy" and classes == 2 else classes


def readout(config: Model) -> Callable[[Tensor], Tensor]:
    """What turns a model's outputs [B, outputs] into logits [B, C], whose softmax is the classes'
    probabilities: whatever the loss, models can be blended.

    One logit z of the second class is [0, z]. Of one logit a class, the probabilities are the
    sigmoids over their sum.
    """
    if config.loss != "binary_cross_entropy":
        return lambda values: values
    return lambda values: (
        torch.cat([torch.zeros_like(values), values], dim=1)
        if values.shape[1] == 1
        else F.logsigmoid(values)
    )


class Loss(nn.Module):
    """The loss of a batch: outputs [B, outputs] and soft targets [B, C] -> a number.

    Each class's share in a target counts `weights` [C] times; the sum is divided by the weights
    of the batch, so that a batch of rare images is no larger a step. Without weights it is the
    mean. For plain labels it is what torch's losses give. Binary cross-entropy of one logit a class
    has no share of a class: there an image counts as much as its shares together.
    """

    weights: Tensor

    def __init__(self, config: Model, weights: Tensor) -> None:
        super().__init__()
        self.kind, self.gamma = config.loss, config.focal_gamma
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
