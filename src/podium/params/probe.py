"""Whether a network takes images of its size: a training step on torch's meta device."""

import torch
from torch import nn

from podium.config.models import Model
from podium.core.errors import UserError
from podium.models import factory, layers, pretrained

FACTORS = (14, 16, 32, 64, 112, 224)  # patches and windows; most networks take multiples of one
MIN_SIZE = 16
MAX_TRIES = 8
SHOWN = 2
REJECTED = (AssertionError, RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError)


def check_image_size(model: Model) -> None:
    """Raises: UserError: if the network does not take images of `image_size`, with sizes that it
    takes.
    """
    size = model.image_size
    if _problem(model, size) is None:
        return
    usual = pretrained.timm_config(model.architecture).input_size[-1]
    near = {factor * n for factor in FACTORS for n in (size // factor, size // factor + 1)}
    sizes = sorted(near - {size, usual}, key=lambda other: abs(other - size))
    tried = [other for other in sizes if other >= MIN_SIZE][:MAX_TRIES]
    if size != usual:
        tried.append(usual)
    valid: list[int] = []
    for other in tried:
        if len(valid) < SHOWN and _problem(model, other) is None:
            valid.append(other)
    if not valid:  # the meta device lacks an operation: the training tries the real one
        return
    raise UserError(
        f"image_size: {model.architecture} does not take {size} pixels. Use "
        f"{' or '.join(map(str, sorted(valid)))}."
    )


def check_single_image(net: nn.Module, model: Model) -> None:
    """Raises: UserError: if the network normalizes over a batch of one value per channel."""
    try:
        net(torch.zeros(1, 3, model.image_size, model.image_size))
    except ValueError as error:
        if not layers.is_batch_too_small(error):
            raise
        raise UserError(
            f"batch_size: 1 is too small for the batch norm of {model.architecture} at "
            f"{model.image_size} pixels. Use at least 2, or batch_norm: none in the phases."
        ) from None


def _problem(model: Model, size: int) -> Exception | None:
    """Why a training step with two images of `size` pixels fails."""
    plain = model.model_copy(
        update={"image_size": size, "pool": None, "head": "linear", "drop_path": 0.0}
    )
    try:
        net = factory.create(plain, outputs=2, load_pretrained=False)
        net(torch.zeros(2, 3, size, size)).sum().backward()
    except REJECTED as error:
        return error
    return None
