"""A batch's inputs on their way into a network: the one place that knows what they are.

A new kind of input is loaded in `images.loading` and handled here; training, inference and the
memory probe call these functions only.
"""

import timm
import torch
from torch import Tensor, nn

from podium.models import heads, image_pool, metadata_head
from podium.models.image_pool import SIZES

Inputs = dict[str, Tensor]
"""By name: "image", uint8 [B, size, size, C] as loaded, or float32 [B, D], what the classifier
receives from a frozen backbone; optionally "metadata", float32 [B, D];
"unit_sizes", int64 [U], if units are examples, not images: the number of images of each."""

FEATURES = 2  # dimensions of "image"


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
        the weights of the first convolution. Features stay as they are.
        """
        ready = {name: tensor.to(self.device, non_blocking=True) for name, tensor in inputs.items()}
        if "image" not in ready:
            return ready
        images = ready["image"]
        if images.ndim == FEATURES:
            return ready
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
    """The network's outputs for preprocessed inputs: [B, outputs], or [U, outputs] for units."""
    return finish(model, of_images(model, inputs["image"]), inputs)


def of_images(model: nn.Module, images: Tensor) -> Tensor:
    """What the network alone returns for preprocessed images, or for their features: [B, …]."""
    outputs: Tensor = heads.classify(model, images) if images.ndim == FEATURES else model(images)
    return outputs


def finish(model: nn.Module, outputs: Tensor, inputs: Inputs) -> Tensor:
    """The outputs for inputs, from those of `of_images`."""
    sizes = inputs.get(SIZES)
    if (pool := image_pool.of(model)) is not None:
        outputs = pool(outputs, sizes)
    if "metadata" in inputs:
        metadata = inputs["metadata"]
        metadata = metadata if sizes is None else image_pool.pool(metadata, sizes)
        outputs = outputs + getattr(model, metadata_head.NAME)(metadata)
    return outputs


def per_image(inputs: Inputs, values: Tensor, count: int) -> Tensor:
    """Values of a batch's examples [B or U, ...] as those of its `count` images [B, ...]."""
    if SIZES not in inputs:
        return values
    return values.repeat_interleave(inputs[SIZES], dim=0, output_size=count)


def split(inputs: Inputs, parts: int) -> list[Inputs]:
    """Split a batch into `parts` with nearly as many examples each, in order, without copying."""
    if parts == 1:  # reading the sizes would wait for the GPU
        return [inputs]
    examples = torch.arange(len(inputs[SIZES if SIZES in inputs else "image"]))
    return split_at(inputs, [len(part) for part in examples.tensor_split(parts)])


def split_at(inputs: Inputs, counts: list[int]) -> list[Inputs]:
    """Split a batch into parts with these numbers of examples, in order, without copying."""
    images = counts
    if SIZES in inputs:
        images = [int(part.sum()) for part in inputs[SIZES].split(counts)]
    columns = [v.split(counts if name == SIZES else images) for name, v in inputs.items()]
    return [dict(zip(inputs, part, strict=True)) for part in zip(*columns, strict=True)]


def pad(images: Tensor, count: int) -> Tensor:
    """Append zeros, to have `count` images."""
    return torch.cat([images, images.new_zeros(count - len(images), *images.shape[1:])])
