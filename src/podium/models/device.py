"""The device and precision that a network runs with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils.memory import should_reduce_batch_size

from podium.core.errors import UserError


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
        raise UserError(
            f"{key}: {size} images do not fit into the memory of {name(device)}. Set {size // 2}."
        ) from None


def name(device: torch.device) -> str:
    """The GPU's model, or the type of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
