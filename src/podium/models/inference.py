"""Inference: one function for validation, out-of-fold and test images."""

from collections.abc import Callable, Iterable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from podium.core import console, signals
from podium.images.loading import Batch
from podium.models import factory

View = Callable[[Tensor], Tensor]  # images [B, 3, size, size] -> the same shape


def identity(images: Tensor) -> Tensor:
    """The view that changes nothing."""
    return images


@torch.inference_mode()
def infer(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    views: Sequence[View] = (identity,),
    to_logits: Callable[[Tensor], Tensor],
    accelerator: Accelerator,
) -> Tensor:
    """The mean of the views' logits for each image, in their order: float32 [N, C], CPU.

    `to_logits` makes logits of the model's outputs.
    """
    normalize = factory.Normalize(accelerator.unwrap_model(model)).to(accelerator.device)
    model.eval()
    logits = []
    for batch in console.bar(batches, "inference"):
        signals.raise_if_stopped()
        images = normalize(batch.images.to(accelerator.device, non_blocking=True))
        with accelerator.autocast():
            seen = [to_logits(model(view(images)).float()) for view in views]
        logits.append(torch.stack(seen).mean(0))
    return torch.cat(logits).cpu()
