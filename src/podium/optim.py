"""Optimizers for a phase: which parameters change, and how fast."""

from collections import defaultdict
from typing import Any

from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn
from torch.optim import Optimizer

from podium import models
from podium.config import nearest
from podium.errors import UserError
from podium.schema import Phase


def create(model: nn.Module, phase: Phase, weight_decay: float) -> Optimizer:
    """The optimizer of `phase` over what it trains, by timm's factory. Each group's `peak` is its
    learning rate before schedules. Biases and the scales of normalisation layers (one-dimensional
    tensors) do not decay.

    Raises:
        UserError: for an optimizer that timm does not know.
    """
    if phase.optimizer not in list_optimizers():
        hint = nearest(phase.optimizer, list_optimizers()) or "; see timm.optim.list_optimizers()"
        raise UserError(f"timm has no optimizer {phase.optimizer}{hint}")
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
    return create_optimizer_v2(parameters, opt=phase.optimizer, lr=phase.lr)


def set_factor(optimizer: Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
