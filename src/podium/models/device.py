"""The device and precision that a network runs with."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn

from podium.core.errors import UserError, counted

_compiled_for = WeakKeyDictionary[nn.Module, object]()


def accelerator(precision: str) -> Accelerator:
    """Create accelerate's Accelerator, which chooses the device (CUDA, else MPS, else CPU).

    `precision` is fp32, fp16, bf16, or auto: bf16 on a GPU that has it, fp16 on others, else fp32.
    """
    if precision == "auto":
        precision = "fp32"
        if torch.cuda.is_available():
            precision = (
                "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            )
    AcceleratorState._reset_state()  # else the first precision stays for the whole process
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision)


@contextmanager
def batch_size_errors(key: str, size: int, device: torch.device) -> Iterator[None]:
    """Raises: UserError: with the `key` in params.yaml, if `size` images per batch do not fit."""
    try:
        yield
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        fix = f"Set {size // 2}" if size > 1 else "Use a smaller model or image_size"
        raise UserError(
            f"{key}: {counted(size, 'image', 'does')} not fit into the memory of "
            f"{name(device)}. {fix}."
        ) from None


def compiled(net: nn.Module, purpose: object) -> nn.Module:
    """The network, compiled when it first runs: again for another `purpose`, such as training other
    layers, which torch.compile does not notice, and not again for the same.
    """
    if _compiled_for.get(net) != purpose:
        torch.compiler.reset()
        _compiled_for.clear()
        _compiled_for[net] = purpose
    model: nn.Module = torch.compile(net, dynamic=False)  # type: ignore[assignment]
    return model


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def copy_to_cpu(value: Any) -> Any:
    """A copy on the CPU of a tensor, or of all tensors in dicts and lists; other values as they
    are. A GPU copies all of them before anything waits for it.
    """
    copied = _copied(value)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return copied


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        # Copies from CUDA run in the background: the caller synchronizes.
        return value.detach().to("cpu", copy=True, non_blocking=value.is_cuda)
    if isinstance(value, dict):
        copied = copy.copy(value)  # with the metadata of a network's state dict
        copied.update({key: _copied(item) for key, item in value.items()})
        return copied
    if isinstance(value, list | tuple):
        return type(value)(map(_copied, value))
    return value


def memory_bytes(device: torch.device) -> int:
    """All memory of a CUDA device."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def name(device: torch.device) -> str:
    """The GPU's model, or the type of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
