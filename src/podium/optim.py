"""Optimizers for a phase: which parameters change, and how fast."""

from collections import defaultdict
from typing import Any

from timm.optim import create_optimizer_v2
from torch import nn
from torch.optim import Optimizer

from podium import models
from podium.schema import Phase


def create(model: nn.Module, phase: Phase, weight_decay: float) -> Optimizer:
    """AdamW over what `phase` trains; each group's `peak` is its learning rate before schedules.

    Biases and the scales of normalisation layers (one-dimensional tensors) do not decay.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[models.is_head(model, name), parameter.ndim > 1].append(parameter)
    backbone_lr = phase.lr if phase.backbone_lr is None else phase.backbone_lr
    parameters: list[dict[str, Any]] = [
        {
            "params": tensors,
            "peak": phase.lr if head else backbone_lr,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (head, decays), tensors in sorted(groups.items(), key=lambda item: item[0])
    ]
    return create_optimizer_v2(parameters, opt="adamw", lr=phase.lr)


def set_factor(optimizer: Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
