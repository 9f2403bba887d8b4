"""Optimizers: which parameters a phase trains, and at which learning rates."""

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
# One kernel for all tensors. Not SGD: if the first step overflows in fp16, its fused kernel leaves
# the momentum uninitialized.
FUSED = (Adam, AdamW)


def create(net: nn.Module, phase: Phase, config: Model) -> Optimizer:
    """Create the phase's optimizer with timm, over the parameters that require gradients.

    A parameter group has the layer group's `depth` (see `layers.depths`) and its `peak`, the
    learning rate before the schedule. Biases and the scales of normalization layers (tensors of
    one dimension) get weight decay only with `config.decay_norms`.

    Raises:
        UserError: if timm does not have the optimizer, or it cannot run here.
    """
    name = phase.optimizer
    if name not in list_optimizers():
        hint = nearest(name, list_optimizers()) or ". See timm.optim.list_optimizers()."
        raise UserError(f"optimizer: timm has no {name}{hint}")
    if name in SECOND_ORDER:
        raise UserError(
            f"optimizer: {name} requires second derivatives, which are not supported. Set another."
        )
    groups = _parameter_groups(net, phase, config)
    try:
        kind = get_optimizer_class(name, bind_defaults=False)
        options: dict[str, Any] = {"fused": True} if kind in FUSED else {}
        return create_optimizer_v2(groups, opt=name, lr=phase.lr, **options)
    except (AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"optimizer: {name} is not available: {error}. Set another.") from None


def set_factor(optimizer: Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def learning_rates(optimizer: Optimizer) -> dict[str, Any]:
    """The current learning rates: `lr` of the head, and `backbone_lr`, the backbone's lowest, which
    is None if the backbone does not train.
    """
    head = [group["lr"] for group in optimizer.param_groups if group["depth"] == 0]
    backbone = [group["lr"] for group in optimizer.param_groups if group["depth"] > 0]
    return {"lr": head[0], "backbone_lr": min(backbone, default=None)}


def _parameter_groups(net: nn.Module, phase: Phase, config: Model) -> list[dict[str, Any]]:
    if phase.layer_decay == 1:  # not every architecture has layer groups
        depths = {name: int(not layers.is_head(net, name)) for name, _ in net.named_parameters()}
    else:
        depths = layers.depths(net)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            decays = config.decay_norms or parameter.ndim > 1
            groups[depths[name], decays].append(parameter)
    return [
        {
            "params": groups[depth, decays],
            "depth": depth,
            "peak": _peak(phase, depth),
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for depth, decays in sorted(groups)
    ]


def _peak(phase: Phase, depth: int) -> float:
    """The peak learning rate of the layer group at `depth`."""
    if depth == 0 or phase.backbone_lr is None:
        return phase.lr * phase.layer_decay**depth
    return phase.backbone_lr * phase.layer_decay ** (depth - 1)
