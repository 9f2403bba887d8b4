"""The device and precision that a network runs with."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState


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


def name(device: torch.device) -> str:
    """The GPU's model, or the type of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
