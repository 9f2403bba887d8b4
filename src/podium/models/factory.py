"""timm models: made from params, with pretrained weights from a file or the hub."""

import pickle
import sys
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from timm.models import PretrainedCfg
from torch import nn

from podium.config.models import Model
from podium.core.errors import UserError, examples, nearest
from podium.models import simple_cnn  # noqa: F401  registers itself with timm, examples, nearest
from podium.models.layers import head_names, is_head

HUB_TIMEOUT = 5  # seconds
HEAD_STD = 0.01


def create(config: Model, *, outputs: int, pretrained: bool = True) -> nn.Module:
    """The model that `config` describes, with a new head of `outputs` numbers an image.

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
    model = _make(config, cfg, outputs, from_hub=from_hub)
    if config.pool:
        _check_pool(model, config)
    for head in head_names(model):
        _reset_head(model, head, batch_norm=config.head == "batch_norm")
    if pretrained and (path := pretrained_file(config)):
        load_pretrained(model, path)
    return model.to(memory_format=torch.channels_last)


def pretrained_file(config: Model) -> Path | None:
    """The weights file that `config` names, if it names one."""
    return Path(config.pretrained).expanduser() if isinstance(config.pretrained, str) else None


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


def _make(config: Model, cfg: PretrainedCfg, outputs: int, *, from_hub: bool) -> Any:
    """timm's model, with timm's head."""
    name = config.architecture
    arguments: dict[str, Any] = {"num_classes": outputs, "drop_rate": config.dropout}
    if config.drop_path:
        arguments["drop_path_rate"] = config.drop_path
    if config.pool:  # "fast": by amax, whose gradient is deterministic on a GPU too
        arguments["global_pool"] = f"fast{config.pool}"
    if cfg.fixed_input_size:  # as vision transformers have
        arguments["img_size"] = config.image_size
    try:
        return timm.create_model(name, pretrained=from_hub, **arguments)
    except (OSError, RuntimeError) as error:
        if not from_hub:
            raise
        raise UserError(f"{name}: no pretrained weights: {error}{_OFFLINE}") from None
    except TypeError as error:
        if "drop_path_rate" in str(error):
            raise UserError(f"{name} has no stochastic depth: set drop_path: 0") from None
        if "global_pool" in str(error):
            raise _no_pool(config) from None
        raise
    except AssertionError:
        if config.pool:
            raise _no_pool(config) from None
        raise


def _check_pool(model: nn.Module, config: Model) -> None:
    """Raises: UserError: if what follows the pooling does not take what it gives."""
    training = model.training
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, config.image_size, config.image_size))
    except RuntimeError:
        raise _no_pool(config) from None
    model.train(training)


def _no_pool(config: Model) -> UserError:
    return UserError(f"{config.architecture} cannot have pool: {config.pool}; set pool: null")


def _reset_head(model: nn.Module, name: str, *, batch_norm: bool) -> None:
    """Start the head near zero, so that the first logits are near zero and the loss near log C;
    put a BatchNorm1d before it if wanted.

    timm draws the heads of its EfficientNet family from a range that grows as the classes get
    fewer: with two classes the first loss is about 6 instead of 0.7, and the first steps, at the
    highest gradients of the run, go into undoing it.

    Raises:
        UserError: if the head is no linear layer, but a batch norm should stand before it.
    """
    head = model.get_submodule(name)
    if isinstance(head, nn.Linear):
        nn.init.trunc_normal_(head.weight, std=HEAD_STD)
        nn.init.zeros_(head.bias)
        if batch_norm:
            model.set_submodule(name, nn.Sequential(nn.BatchNorm1d(head.in_features), head))
    elif batch_norm:
        kind = type(head).__name__
        raise UserError(
            f"{type(model).__name__}: head: batch_norm needs a linear layer, not {kind}"
        )


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
