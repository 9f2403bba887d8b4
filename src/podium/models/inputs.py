"""A batch's inputs on their way into a network: the one place that knows what they are.

A new kind of input (a second image per id) is loaded in `images.loading` and handled here;
training, inference and the memory probe call these functions only.
"""

import timm
import torch
from torch import Tensor, nn

from podium.models import metadata_head

Inputs = dict[str, Tensor]
"""By name: "image", uint8 [B, size, size, C] as loaded; optionally "metadata", float32 [B, D]."""


class Preprocess:
    """Moves a batch's inputs to the device, and normalizes its images with the network's mean and
    standard deviation.
    """

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        self.device, data = device, timm.data.resolve_model_data_config(net)
        self.mean = (255 * torch.tensor(data["mean"])).to(device)
        self.std = (255 * torch.tensor(data["std"])).to(device)

    def __call__(self, inputs: Inputs) -> Inputs:
        """Images uint8 [B, size, size, C] become float32 [B, C, size, size] in channels_last. The
        network's values for RGB are repeated, and averaged for one channel, as timm does it with
        the weights of the first convolution.
        """
        ready = {name: tensor.to(self.device, non_blocking=True) for name, tensor in inputs.items()}
        images = ready["image"]
        rows = images.flatten(2).float()  # [B, size, size x C]: broadcasting over 3 values is slow
        width, channels = images.shape[2:]
        mean, std = (_adapt(rgb, channels).repeat(width) for rgb in (self.mean, self.std))
        normalized = ((rows - mean) / std).view(images.shape).permute(0, 3, 1, 2)
        return {**ready, "image": normalized.contiguous(memory_format=torch.channels_last)}


def _adapt(rgb: Tensor, channels: int) -> Tensor:
    """Values for red, green and blue as values for `channels` channels."""
    if channels == 1:
        return rgb.mean(dim=0, keepdim=True)
    return rgb.repeat(-(-channels // 3))[:channels]


def forward(model: nn.Module, inputs: Inputs) -> Tensor:
    """The network's outputs for preprocessed inputs: [B, outputs]."""
    outputs: Tensor = model(inputs["image"])
    if "metadata" in inputs:
        outputs = outputs + getattr(model, metadata_head.NAME)(inputs["metadata"])
    return outputs


def split(inputs: Inputs, parts: int) -> list[Inputs]:
    """Split a batch into `parts` of nearly equal size, in order, without copying."""
    columns = [tensor.tensor_split(parts) for tensor in inputs.values()]
    return [dict(zip(inputs, part, strict=True)) for part in zip(*columns, strict=True)]


def pad(inputs: Inputs, rows: int, device: torch.device) -> Inputs:
    """A batch of `rows` on `device`, of which the last are zeros."""
    padded = {}
    for name, tensor in inputs.items():
        values = tensor.to(device, non_blocking=True)
        zeros = values.new_zeros(rows - len(values), *values.shape[1:])
        padded[name] = torch.cat([values, zeros])
    return padded
