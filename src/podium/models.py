"""timm models: made from params, with pretrained weights from a file or the hub."""

import pickle
import sys
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from podium.config import nearest
from podium.errors import UserError, examples
from podium.schema import Model

HUB_TIMEOUT = 5  # seconds
HEAD_STD = 0.01


class Normalize(nn.Module):
    """uint8 images [B, size, size, 3] -> float32 [B, 3, size, size], as the model was trained on.

    The result lies in memory as channels_last, the order that convolutions are fastest in.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        data = timm.data.resolve_model_data_config(model)
        self.register_buffer("mean", 255 * torch.tensor(data["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(data["std"]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images.permute(0, 3, 1, 2).float() - self.mean) / self.std


def create(config: Model, *, classes: int, pretrained: bool = True) -> nn.Module:
    """The model that `config` describes, with a new head for `classes` classes.

    `pretrained=False` leaves the weights random, whatever `config` says: for weights that follow.

    Raises:
        UserError: for an architecture that timm lacks, or weights that cannot be had or do not fit.
    """
    name = config.architecture
    if not timm.is_model(name):
        hint = nearest(name, timm.list_models()) or "; see timm.list_models()"
        raise UserError(f"timm has no architecture {name}{hint}")
    try:
        cfg = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that is not one of this architecture's
        known = timm.list_pretrained(name.partition(".")[0] + ".*")
        hint = nearest(name, known) or f"; it has {examples(known)}"
        raise UserError(f"timm has no pretrained weights {name}{hint}") from None
    from_hub = pretrained and config.pretrained is True
    if from_hub:
        _check_hub(name, cfg.hf_hub_id)
    arguments = {"num_classes": classes, "drop_rate": config.dropout}
    if cfg.fixed_input_size:  # as vision transformers have
        arguments["img_size"] = config.image_size
    try:
        model = timm.create_model(name, pretrained=from_hub, **arguments)
    except (OSError, RuntimeError) as error:
        if not from_hub:
            raise
        raise UserError(f"{name}: no pretrained weights: {error}{_OFFLINE}") from None
    _reset_head(model)
    if pretrained and (path := pretrained_file(config)):
        load_pretrained(model, path)
    return model.to(memory_format=torch.channels_last)


def pretrained_file(config: Model) -> Path | None:
    """The weights file that `config` names, if it names one."""
    return Path(config.pretrained).expanduser() if isinstance(config.pretrained, str) else None


def head_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the modules that make logits of features, as timm's own config says."""
    names: Any = model.pretrained_cfg["classifier"]  # type: ignore[index]
    return (names,) if isinstance(names, str) else tuple(names)


def is_head(model: nn.Module, parameter: str) -> bool:
    """Whether a parameter, by its name, belongs to the head."""
    return parameter.startswith(tuple(name + "." for name in head_names(model)))


def load_pretrained(model: nn.Module, path: Path) -> None:
    """Load the backbone's weights from a file (safetensors, or torch's without pickled code).

    The head keeps its random weights: its classes are another competition's.

    Raises:
        UserError: if the file is not there, not readable, or not of this architecture.
    """
    if not path.is_file():
        raise UserError(f"pretrained: there is no file {path}")
    try:
        state = timm.models.load_state_dict(str(path), weights_only=True)
    except (OSError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(f"pretrained: {path} holds no weights: {error}") from None
    # Some architectures' own: other publishers' names, position embeddings of another size.
    adapt = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if adapt is not None:
        state = adapt(state, model)
    state = {name: tensor for name, tensor in state.items() if not is_head(model, name)}
    own = {k: v for k, v in model.state_dict().items() if not is_head(model, k)}
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - own.keys())
    other = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or unknown or other:
        raise UserError(
            f"pretrained: {path} is not of this architecture: {len(missing)} tensors missing, "
            f"{len(unknown)} unknown, {len(other)} of another shape; as "
            f"{examples([*missing, *unknown, *other], 3)}"
        )
    model.load_state_dict(state, strict=False)


def set_trainable(model: nn.Module, trainable: str) -> None:
    """Let gradients change all parameters, or the head's alone."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trainable == "all" or is_head(model, name))


def set_training(model: nn.Module, batch_norm: str) -> None:
    """Training mode, but for batch norms that keep their statistics: those of frozen parts, and
    with `batch_norm="freeze"` all of them.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            frozen = not any(parameter.requires_grad for parameter in module.parameters())
            module.train(batch_norm == "update" and not frozen)


def _reset_head(model: nn.Module) -> None:
    """Start the head near zero, so that the first logits are near zero and the loss near log C.

    timm draws the heads of its EfficientNet family from a range that grows as the classes get
    fewer: with two classes the first loss is about 6 instead of 0.7, and the first steps, at the
    highest gradients of the run, go into undoing it.
    """
    for name in head_names(model):
        head = model.get_submodule(name)
        if isinstance(head, nn.Linear):
            nn.init.trunc_normal_(head.weight, std=HEAD_STD)
            nn.init.zeros_(head.bias)


_OFFLINE = (
    "\n  without network: set `pretrained:` to the path of a weights file (.safetensors or .pth), "
    "or to false"
)


def _check_hub(name: str, hub: str | None) -> None:
    """Fail at once where the hub cannot be reached: its client tries for a minute.

    Raises:
        UserError: saying how to give a file instead.
    """
    import requests
    from huggingface_hub import constants, try_to_load_from_cache

    if hub is None or try_to_load_from_cache(hub, "model.safetensors") is not None:
        return
    try:
        requests.head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except requests.RequestException as error:
        reason = type(error).__name__
        raise UserError(
            f"{name}: the hub of pretrained weights, {constants.ENDPOINT}, cannot be reached "
            f"({reason}){_OFFLINE}"
        ) from None
