"""The device and the precision that a model runs in."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState


def accelerator(precision: str) -> Accelerator:
    """An accelerator in `precision`: auto, fp32, fp16 or bf16. The device is accelerate's choice:
    CUDA where there is one, else Apple's, else the CPU.
    """
    if precision == "auto":
        precision = "fp32"
        if torch.cuda.is_available():
            precision = (
                "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            )
    AcceleratorState._reset_state()  # accelerate keeps one precision a process otherwise
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision)


def name(device: torch.device) -> str:
    """The device's name, for the provenance."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
