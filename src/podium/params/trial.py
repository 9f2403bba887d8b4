"""Whether a network trains with images of its size: a step on torch's meta device, which computes
shapes only.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from podium.config.models import Model
from podium.core.errors import UserError
from podium.models import factory, inputs, layers, pretrained

FACTORS = (16, 32, 64, 112, 224)  # patches and windows; most networks take multiples of one
MIN_SIZE = 16
MAX_TRIES = 10
SHOWN = 2
REJECTED = (AssertionError, RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError)


def build(model: Model, channels: int = 3) -> nn.Module:
    """Create the network for images with `channels`, without weights, and take a training step with
    two images.

    Raises:
        UserError: as `factory.create`; if the network does not take images of `image_size`, with
            sizes that it takes.
    """
    try:
        return _try(model, channels)
    except (UserError, *REJECTED) as error:
        _check_size(model, channels)
        if isinstance(error, UserError):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"architecture: {model.architecture} fails in a training step with two images of "
            f"{model.image_size} pixels ({type(error).__name__}: {reason}). Choose another."
        ) from None


def check_single_image(net: nn.Module, model: Model, channels: int = 3) -> None:
    """Raises: UserError: if the network normalizes over a batch of one value per channel."""
    try:
        _step(net, images=1, size=model.image_size, channels=channels)
    except ValueError as error:
        if not layers.is_batch_too_small(error):
            raise
        raise UserError(
            f"batch_size: 1 is too small for the batch norm of {model.architecture} at "
            f"{model.image_size} pixels. Use at least 2, or batch_norm: none in the phases."
        ) from None


class _Lookups(TorchDispatchMode):
    """Notes whether a network indexes with positions that it computes in its forward pass: the meta
    device cannot check them (MViT has too few for some sizes).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.stored = {buffer.untyped_storage()._cdata for buffer in net.buffers()}
        self.computed = False

    def __torch_dispatch__(
        self, op: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if op is torch.ops.aten.index.Tensor:
            positions = [tensor for tensor in args[1] if isinstance(tensor, Tensor)]
            storages = {tensor.untyped_storage()._cdata for tensor in positions}
            self.computed = self.computed or not storages <= self.stored
        return op(*args, **(kwargs or {}))


def _try(model: Model, channels: int) -> nn.Module:
    def create() -> nn.Module:
        return factory.create(model, outputs=2, channels=channels, load_pretrained=False)

    net = create()
    with _Lookups(net) as lookups:
        _step(net, images=2, size=model.image_size, channels=channels)
    if lookups.computed:
        with torch.device("cpu"), torch.inference_mode():
            create().eval()(torch.zeros(1, channels, model.image_size, model.image_size))
    return net


def _step(net: nn.Module, *, images: int, size: int, channels: int) -> None:
    with suppress(NotImplementedError):  # on the meta device; the training tries the real one
        inputs.forward(net, {"image": torch.zeros(images, channels, size, size)}).sum().backward()


def _check_size(model: Model, channels: int) -> None:
    """Raises: UserError: if the network takes other sizes, but not `image_size`."""
    size = model.image_size
    if _takes(model, size, channels):
        return
    usual = pretrained.timm_config(model.architecture).input_size[-1]
    near = {factor * (size // factor + n) for factor in FACTORS for n in range(3)}
    sizes = sorted(near - {size, usual}, key=lambda other: abs(other - size))
    valid: list[int] = []
    for other in [*[other for other in sizes if other >= MIN_SIZE][:MAX_TRIES], usual]:
        if len(valid) < SHOWN and other != size and _takes(model, other, channels):
            valid.append(other)
    if valid:
        raise UserError(
            f"image_size: {model.architecture} does not take {size} pixels. Use "
            f"{' or '.join(map(str, sorted(valid)))}."
        )


def _takes(model: Model, size: int, channels: int) -> bool:
    """Whether the architecture, without options, trains with images of `size` pixels."""
    plain = {
        "pool": None,
        "head": "linear",
        "image_pool": None,
        "drop_path": 0.0,
        "image_size": size,
    }
    try:
        _try(model.model_copy(update=plain), channels)
    except REJECTED:
        return False
    return True
