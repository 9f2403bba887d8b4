"""The layers of a model by their depth below its head, and which of them train."""

import fnmatch
from typing import Any

from timm import layers as timm_layers
from timm.models import group_parameters
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from podium.config.phases import Part
from podium.core.errors import UserError, examples

_NORMS = (
    *(_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
    *(timm_layers.RmsNorm, timm_layers.RmsNorm2d, timm_layers.SimpleNorm, timm_layers.SimpleNorm2d),
)


def head_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the modules that make logits of features, as timm's own config says."""
    names: Any = model.pretrained_cfg["classifier"]  # type: ignore[index]
    return (names,) if isinstance(names, str) else tuple(names)


def is_head(model: nn.Module, name: str) -> bool:
    """Whether a parameter or module, by its name, belongs to the head."""
    return f"{name}.".startswith(tuple(f"{head}." for head in head_names(model)))


def depths(model: nn.Module) -> dict[str, int]:
    """The layer group of each parameter, counted from the head: 0 is the head, 1 the backbone's
    last group (of a ResNet, layer4), the highest number its stem. timm's groups.

    Raises:
        UserError: for an architecture that timm does not divide into groups.
    """
    try:
        groups = group_parameters(model, model.group_matcher(coarse=True), reverse=True)  # type: ignore[operator]
    except (AttributeError, NotImplementedError, AssertionError):
        raise UserError(f"timm knows no layer groups of {type(model).__name__}") from None
    top = max(groups.values())  # the head, and what stands right before it in some architectures
    return {
        name: 0 if is_head(model, name) else max(1, top - groups[name])
        for name, _ in model.named_parameters()
    }


def trained(model: nn.Module, trainable: str | Part) -> set[str]:
    """The names of the parameters that `trainable` means; the head's are always among them.

    Raises:
        UserError: if it asks for more than the model has, or for names that it lacks.
    """
    names = [name for name, _ in model.named_parameters()]
    head = {name for name in names if is_head(model, name)}
    if isinstance(trainable, Part):
        return head | _part(model, trainable, [name for name in names if name not in head])
    if trainable == "norms":
        norms = {name for name, module in model.named_modules() if isinstance(module, _NORMS)}
        found = {name for name in names if name.rpartition(".")[0] in norms}
        if not found - head:
            raise UserError(f"trainable: {type(model).__name__} has no normalisation layers")
        return head | found
    return set(names) if trainable == "all" else head


def _part(model: nn.Module, part: Part, backbone: list[str]) -> set[str]:
    if part.names is not None:
        if unmatched := [p for p in part.names if not fnmatch.filter(backbone, p)]:
            raise UserError(
                f"trainable: no parameter of the backbone is called {examples(unmatched)}; it has "
                f"{examples(backbone[:: max(1, len(backbone) // 6)], 8)}"
            )
        return {name for p in part.names for name in fnmatch.filter(backbone, p)}
    if part.last_tensors is not None:
        if part.last_tensors > len(backbone):
            raise UserError(
                f"trainable: the backbone has {len(backbone)} tensors, not {part.last_tensors}"
            )
        return set(backbone[-part.last_tensors :])
    assert part.last is not None  # gradual unfreezing has been expanded
    depth = depths(model)
    if part.last > (deepest := max(depth.values())):
        raise UserError(f"trainable: the backbone has {deepest} layer groups, not {part.last}")
    return {name for name in backbone if depth[name] <= part.last}


def set_trainable(model: nn.Module, trainable: str | Part) -> None:
    """Let gradients change what `trainable` means, and nothing else."""
    chosen = trained(model, trainable)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)


def set_training(model: nn.Module, batch_norm: str) -> None:
    """Training mode, in which those batch norms update their running statistics whose parameters
    train (`trained`), all, or none of them; a head's own always does.
    """
    model.train()
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and not is_head(model, name):
            trains = any(parameter.requires_grad for parameter in module.parameters())
            module.train(batch_norm == "all" or (batch_norm == "trained" and trains))
