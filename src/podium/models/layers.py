"""The layer groups of a network, and which of its parameters and statistics train."""

import fnmatch
from functools import partial
from typing import Any

from timm import layers as timm_layers
from timm.models import group_parameters
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from podium.config.phases import Part
from podium.core.errors import UserError, examples
from podium.models import image_pool, metadata_head, pooling

_NORMS = (
    *(_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
    *(timm_layers.RmsNorm, timm_layers.RmsNorm2d, timm_layers.SimpleNorm, timm_layers.SimpleNorm2d),
)
ONEDNN_BLOCK = 16  # channels that oneDNN's kernels for AVX-512 handle at once


def head_names(net: nn.Module) -> tuple[str, ...]:
    """The names of the modules that map features to outputs, from timm's config of the model."""
    names: Any = net.pretrained_cfg["classifier"]  # type: ignore[index]
    return (names,) if isinstance(names, str) else tuple(names)


def classifier_names(net: nn.Module) -> tuple[str, ...]:
    """The same, but where `image_pool` has put them."""
    return head_names(net) if image_pool.of(net) is None else (image_pool.CLASSIFIER,)


def is_head(net: nn.Module, name: str) -> bool:
    """Whether the parameter or module called `name` belongs to a head, like GeM's exponent."""
    modules = (*head_names(net), metadata_head.NAME, image_pool.NAME)
    heads = tuple(f"{module}." for module in modules)
    return f"{name}.".startswith(heads) or name.endswith(f".{pooling.EXPONENT}")


def linear_head(net: nn.Module) -> nn.Linear:
    """The head, if it is a single linear layer with a bias.

    Raises:
        UserError: if it is not.
    """
    names = classifier_names(net)
    head = net.get_submodule(names[0])
    if len(names) == 1 and isinstance(head, nn.Linear) and head.bias is not None:
        return head
    kinds = " and ".join(type(net.get_submodule(name)).__name__ for name in names)
    raise UserError(
        f"init_from: probe requires a linear head with a bias, but that of {type(net).__name__} is "
        f"a {kinds}. Set init_from: last."
    )


def depths(net: nn.Module) -> dict[str, int]:
    """The depth of each parameter's layer group below the head, by timm's coarse groups: 0 is the
    head, 1 the last group of the backbone (layer4 of a ResNet), the highest its stem.

    Raises:
        UserError: if timm defines no layer groups for the architecture.
    """
    try:
        groups = group_parameters(net, net.group_matcher(coarse=True), reverse=True)  # type: ignore[operator]
    except (AttributeError, NotImplementedError, AssertionError):
        raise UserError(
            f"timm defines no layer groups for {type(net).__name__}. Set trainable: all, head or "
            "norms, and layer_decay: 1."
        ) from None
    # The head, in some architectures with the norm before it. The metadata head is in its group.
    top = max(groups.values())
    return {
        name: 0 if is_head(net, name) else max(1, top - groups[name])
        for name, _ in net.named_parameters()
    }


def trainable_names(net: nn.Module, trainable: str | Part) -> set[str]:
    """The names of the parameters that `trainable` selects, always including the head's.

    Raises:
        UserError: if the network has fewer layer groups or tensors, or no matching parameters.
    """
    names = [name for name, _ in net.named_parameters()]
    head = {name for name in names if is_head(net, name)}
    if isinstance(trainable, Part):
        return head | _part(net, trainable, [name for name in names if name not in head])
    if trainable == "norms":
        norms = {name for name, module in net.named_modules() if isinstance(module, _NORMS)}
        selected = {name for name in names if name.rpartition(".")[0] in norms}
        if not selected - head:
            raise UserError(
                f"trainable: {type(net).__name__} has no normalization layers. Use all, head or "
                "last."
            )
        return head | selected
    return set(names) if trainable == "all" else head


def _part(net: nn.Module, part: Part, backbone: list[str]) -> set[str]:
    """The parameters of the backbone that `part` selects; `backbone` is in the network's order."""
    if part.names is not None:
        if unmatched := [p for p in part.names if not fnmatch.filter(backbone, p)]:
            some = backbone[:: max(1, len(backbone) // 6)]
            raise UserError(
                f"trainable.names: no backbone parameter matches {examples(unmatched)}. "
                f"Choose from {examples(some, 8)}."
            )
        return {name for p in part.names for name in fnmatch.filter(backbone, p)}
    if part.last_tensors is not None:
        if part.last_tensors > len(backbone):
            raise UserError(
                f"trainable.last_tensors: {part.last_tensors} is more than the backbone's "
                f"{len(backbone)} tensors. Set fewer."
            )
        return set(backbone[-part.last_tensors :])
    assert part.last is not None  # gradual unfreezing has been expanded
    depth = depths(net)
    if part.last > (deepest := max(depth.values())):
        raise UserError(
            f"trainable.last: {part.last} is more than the backbone's {deepest} layer groups. "
            "Set fewer."
        )
    return {name for name in backbone if depth[name] <= part.last}


def set_trainable(net: nn.Module, trainable: str | Part) -> None:
    """Require gradients of the parameters that `trainable` selects, and of no others.

    Raises:
        UserError: see `trainable_names`.
    """
    names = trainable_names(net, trainable)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in names)


def set_train_mode(net: nn.Module, batch_norm: str) -> None:
    """Put the network into training mode. `batch_norm` says which batch norms update their running
    statistics: those whose parameters train (`trained`), `all` or `none`; a head's always do.
    """
    net.train()
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm) and not is_head(net, name):
            trains = any(parameter.requires_grad for parameter in module.parameters())
            module.train(batch_norm == "all" or (batch_norm == "trained" and trains))


def is_batch_too_small(error: Exception) -> bool:
    """Whether a batch norm got one value per channel: torch's message."""
    return str(error).startswith("Expected more than 1 value per channel when training")


def subsample_before_strided_1x1(net: nn.Module) -> None:
    """Let 1x1 convolutions with a stride and few channels (in the stems of RepVGG, MobileOne and
    FastViT) take a subsampled input instead: the same outputs. In channels_last, oneDNN's gradient
    of their weights writes outside its memory on CPUs with AVX-512, which ends the process.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and _is_strided_1x1(module):
            module.register_forward_pre_hook(partial(_subsample, stride=module.stride))
            module.stride = (1, 1)


def _is_strided_1x1(conv: nn.Conv2d) -> bool:
    few = conv.in_channels < ONEDNN_BLOCK and conv.groups == 1
    plain = conv.padding in ((0, 0), "valid")
    return few and plain and conv.kernel_size == (1, 1) and conv.stride != (1, 1)


def _subsample(
    _: nn.Module, inputs: tuple[Tensor, ...], *, stride: tuple[int, ...]
) -> tuple[Tensor, ...]:
    return (inputs[0][:, :, :: stride[0], :: stride[1]], *inputs[1:])
