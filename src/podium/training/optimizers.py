"""Optimizers for a phase: which parameters change, and how fast."""

from collections import defaultdict
from typing import Any

from timm.optim import create_optimizer_v2, get_optimizer_class, list_optimizers
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from podium.config.models import Model
from podium.config.phases import Phase
from podium.core.errors import UserError, nearest
from podium.models import layers

SECOND_ORDER = ("adahessian",)
# Change all tensors in one pass. Not SGD: where a first step overflows in fp16, its fused form
# leaves the momentum uninitialised.
FUSED = (Adam, AdamW)


def create(model: nn.Module, phase: Phase, config: Model) -> Optimizer:
    """The optimizer of `phase` over what now trains, by timm's factory. Each group's `peak` is its
    learning rate before the schedule, its `depth` the layer group's. Biases and the scales of
    normalisation layers (one-dimensional tensors) decay only with `config.decay_norms`.

    Raises:
        UserError: for an optimizer that timm does not know, or that cannot be had here.
    """
    if phase.optimizer not in list_optimizers():
        hint = nearest(phase.optimizer, list_optimizers()) or "; see timm.optim.list_optimizers()"
        raise UserError(f"timm has no optimizer {phase.optimizer}{hint}")
    if phase.optimizer in SECOND_ORDER:
        raise UserError(f"{phase.optimizer} needs second derivatives, which are not computed here")
    if phase.layer_decay == 1:  # not every architecture has layer groups
        depths = {n: 0 if layers.is_head(model, n) else 1 for n, _ in model.named_parameters()}
    else:
        depths = layers.depths(model)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = config.decay_norms or parameter.ndim > 1
            groups[depths[name], decays].append(parameter)
    parameters: list[dict[str, Any]] = [
        {
            "params": tensors,
            "depth": depth,
            "peak": _peak(phase, depth),
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (depth, decays), tensors in sorted(groups.items(), key=lambda item: item[0])
    ]
    try:
        kind = get_optimizer_class(phase.optimizer, bind_defaults=False)
        options: dict[str, Any] = {"fused": True} if kind in FUSED else {}
        return create_optimizer_v2(parameters, opt=phase.optimizer, lr=phase.lr, **options)
    except (AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"optimizer {phase.optimizer} cannot be had here: {error}") from None


def set_factor(optimizer: Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def rates(optimizer: Optimizer) -> dict[str, Any]:
    """The head's learning rate now, and the lowest of the backbone's: None if none of it trains."""
    head = [group["lr"] for group in optimizer.param_groups if group["depth"] == 0]
    backbone = [group["lr"] for group in optimizer.param_groups if group["depth"] > 0]
    return {"lr": head[0], "backbone_lr": min(backbone, default=None)}


def _peak(phase: Phase, depth: int) -> float:
    if depth == 0:
        return phase.lr
    if phase.backbone_lr is None:
        return phase.lr * phase.layer_decay**depth
    return phase.backbone_lr * phase.layer_decay ** (depth - 1)
