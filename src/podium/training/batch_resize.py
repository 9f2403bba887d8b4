"""Resize and warp batches of images with torch, each in its own way, as OpenCV does."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from podium.images.resizing import MAX_CROP_ASPECT

MAX_PIXELS = 2**24  # of the RGB windows that are resized at a time: 200 MB as float32


class Axis(NamedTuple):
    """How one axis of an image is resized: a window of `length` pixels from `begin` on becomes
    `resized` pixels, of which the output starts with the one numbered `offset`. Before the first
    (negative offsets) and after the last, the output is black.
    """

    begin: int
    length: int
    resized: int
    offset: int


def square(height: int, width: int, size: int, how: str) -> tuple[Axis, Axis]:
    """The axes that make an image square, as `resizing.resize_square` does."""
    if how == "squash":
        return Axis(0, height, size, 0), Axis(0, width, size, 0)
    longest = MAX_CROP_ASPECT * min(height, width) if how == "crop" else max(height, width)
    lengths = [min(side, longest) for side in (height, width)]
    begins = [(side - length) // 2 for side, length in zip((height, width), lengths, strict=True)]
    scale = size / (min(lengths) if how == "crop" else max(lengths))
    resized = [max(1, round(length * scale)) for length in lengths]
    offsets = [(side - size) // 2 if how == "crop" else -((size - side) // 2) for side in resized]
    first, second = zip(begins, lengths, resized, offsets, strict=True)
    return Axis(*first), Axis(*second)


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device, without waiting for it."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def resize(
    pixels: Tensor,
    first: Sequence[int],
    widths: Sequence[int],
    rows: Sequence[Axis],
    columns: Sequence[Axis],
    size: int,
) -> Tensor:
    """Resize windows of images: area interpolation for an axis that shrinks, else bilinear.

    Args:
        pixels: [P, C], images one after another.
        first: the position of each image's first pixel.
        widths: of each image.
        rows, columns: the window of each image.
        size: of the output.

    Returns:
        float32 [B, size, size, C].
    """
    height, width = (max(axis.length for axis in axes) for axes in (rows, columns))
    chunk = max(1, 3 * MAX_PIXELS // (height * width * pixels.shape[-1]))
    facts = np.array([first, widths, *zip(*rows, strict=True), *zip(*columns, strict=True)])
    values = send(facts.astype(np.int64), pixels.device)
    return torch.cat(
        [
            _resize(pixels, values[:, begin : begin + chunk], height, width, size)
            for begin in range(0, len(first), chunk)
        ]
    )


def _resize(pixels: Tensor, facts: Tensor, height: int, width: int, size: int) -> Tensor:
    first, widths, rows, columns = facts[0], facts[1], facts[2:6], facts[6:10]
    y, x = _positions(rows, height), _positions(columns, width)  # [B, H], [B, W]
    positions = first[:, None, None] + y[:, :, None] * widths[:, None, None] + x[:, None, :]
    windows = pixels[positions].float()  # [B, H, W, C]
    count, channels = len(windows), windows.shape[-1]
    # Two matrix products: [size, H] x [H, W * C], then [size, W] x [W, size * C].
    vertical = _weights(rows, height, size) @ windows.view(count, height, width * channels)
    turned = vertical.view(count, size, width, channels).transpose(1, 2)
    horizontal = _weights(columns, width, size) @ turned.reshape(count, width, size * channels)
    return horizontal.view(count, size, size, channels).transpose(1, 2).contiguous()


def _positions(axis: Tensor, count: int) -> Tensor:
    begin, length = axis[0, :, None], axis[1, :, None]
    steps = torch.arange(count, device=axis.device)
    return begin + torch.minimum(steps, length - 1)


def _weights(axis: Tensor, count: int, size: int) -> Tensor:
    """The weights of `count` source pixels in each of `size` output pixels: [B, size, count]."""
    _, length, resized, offset = axis.float()[:, :, None]  # each [B, 1]
    number = torch.arange(size, device=axis.device) + offset  # [B, size]
    scale = length / resized
    source = torch.arange(count, device=axis.device)
    low, high = number * scale, (number + 1) * scale
    area = torch.minimum(high[..., None], source + 1) - torch.maximum(low[..., None], source)
    center = torch.minimum(((number + 0.5) * scale - 0.5).clamp(min=0), length - 1)
    linear = 1 - (center[..., None] - source).abs()
    shrinks = (resized < length)[..., None]
    weights = torch.where(shrinks, area / scale[..., None], linear).clamp(min=0)
    inside = (number >= 0) & (number < resized)
    return weights * inside[..., None] * (source < length[..., None])


def warp(images: Tensor, matrices: Sequence[np.ndarray], fill: Any) -> Tensor:
    """Warp images [B, size, size, C] by matrices [3, 3] of pixel coordinates, source to output, as
    `cv2.warpAffine` does: bilinear, with `fill` outside.
    """
    size, channels = images.shape[1], images.shape[3]
    # From output to source, in the coordinates of grid_sample: -1 to 1 between the outer edges.
    to_pixels = np.array([[size / 2, 0, size / 2 - 0.5], [0, size / 2, size / 2 - 0.5], [0, 0, 1]])
    inverse = [np.linalg.inv(to_pixels) @ np.linalg.inv(m) @ to_pixels for m in matrices]
    theta = send(np.stack(inverse)[:, :2].astype(np.float32), images.device)
    grid = F.affine_grid(theta, [len(images), channels, size, size], align_corners=False)
    color = send(np.broadcast_to(np.float32(fill), channels).copy(), images.device)
    moved = (images - color).permute(0, 3, 1, 2)
    warped = F.grid_sample(moved, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return warped.permute(0, 2, 3, 1) + color
