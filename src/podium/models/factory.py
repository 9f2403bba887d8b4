"""Create timm models from params, with pretrained weights."""

from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from timm.models import PretrainedCfg
from torch import nn

from podium.config.models import Model
from podium.core.errors import UserError
from podium.models import (
    heads,
    image_pool,
    metadata_head,
    pooling,
    pretrained,
    simple_cnn,  # noqa: F401  registers itself with timm
)
from podium.models.layers import head_names, subsample_before_strided_1x1


def create(
    config: Model,
    *,
    outputs: int,
    channels: int = 3,
    load_pretrained: bool = True,
    metadata_size: int | None = None,
) -> nn.Module:
    """Create the model that `config` describes, with a new head of `outputs` outputs per image.

    With other than 3 `channels`, the first convolution's pretrained weights are adapted as timm
    does it: summed for one, else repeated.
    `load_pretrained=False` leaves all weights random, for a caller that loads its own.
    `metadata_size`: number of dimensions of the metadata; None: images only.

    Raises:
        UserError: if timm lacks the architecture, if it does not support a setting, or if its
            pretrained weights are missing or do not fit.
    """
    cfg = pretrained.timm_config(config.architecture)
    weights = pretrained.locate(config) if load_pretrained else None
    hub_file = weights.path if weights is not None and weights.revision is not None else None
    model = _create_timm(config, cfg, outputs, channels, hub_file=hub_file)
    if not set(head_names(model)) <= {name for name, _ in model.named_modules()}:
        raise pretrained.no_classifier(config.architecture)
    if config.pool == "gem" and not pooling.use_gem(model):
        raise _unsupported_pool(config)
    if config.pool:
        _check_pool(model, config, channels)
    for head in head_names(model):
        heads.replace(model, head, config)
    if hub_file is not None:
        pretrained.check_finite(model, model.state_dict(), hub_file)
    elif weights is not None:
        pretrained.load(model, weights.path)
    subsample_before_strided_1x1(model)
    if config.image_pool is not None:
        image_pool.add(model, head_names(model), config.image_pool)
    if metadata_size is not None:
        metadata_head.add(model, metadata_size, config.metadata, outputs=outputs)
    if any(parameter.ndim == 5 for parameter in model.parameters()):  # 3-d convolutions
        return model
    return model.to(memory_format=torch.channels_last)


def _create_timm(
    config: Model, cfg: PretrainedCfg, outputs: int, channels: int, *, hub_file: Path | None
) -> Any:
    """timm's model with timm's head, and the weights of `hub_file` as timm loads them."""
    name = config.architecture
    arguments: dict[str, Any] = {"num_classes": outputs, "drop_rate": config.dropout}
    if channels != 3:
        arguments["in_chans"] = channels
    if config.drop_path:
        arguments["drop_path_rate"] = config.drop_path
    if config.pool:  # "fast" uses amax, whose gradient is deterministic on a GPU too
        arguments["global_pool"] = "fast" + ("avg" if config.pool == "gem" else config.pool)
    if cfg.fixed_input_size:  # vision transformers
        arguments["img_size"] = config.image_size
    if hub_file is not None:
        arguments["pretrained_cfg_overlay"] = {"file": str(hub_file), "custom_load": False}
    try:
        return timm.create_model(name, pretrained=hub_file is not None, **arguments)
    except (OSError, RuntimeError, SafetensorError) as error:
        if hub_file is None:
            raise
        raise UserError(
            f"pretrained: cannot load {hub_file}: {error}. Delete it to download it again."
        ) from None
    except (AssertionError, TypeError) as error:
        if "drop_rate" in str(error):  # an encoder, whose config has a classifier nevertheless
            raise pretrained.no_classifier(name) from None
        if "drop_path_rate" in str(error):
            raise UserError(
                f"drop_path: {name} has no stochastic depth. Set drop_path: 0."
            ) from None
        if config.pool and (isinstance(error, AssertionError) or "global_pool" in str(error)):
            raise _unsupported_pool(config) from None
        raise


def _check_pool(model: nn.Module, config: Model, channels: int) -> None:
    """Raises: UserError: if the head does not take the pooled features."""
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, channels, config.image_size, config.image_size))
    except RuntimeError:
        raise _unsupported_pool(config) from None
    model.train()


def _unsupported_pool(config: Model) -> UserError:
    return UserError(f"pool: {config.architecture} does not support {config.pool}. Set pool: null.")
