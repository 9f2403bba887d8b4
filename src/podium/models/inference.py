"""Inference: one function for validation, out-of-fold and test images."""

from collections.abc import Callable, Iterable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from podium.core import console, signals
from podium.images.loading import Batch
from podium.models import inputs

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
    """Average the logits over the views of each image: float32 [N, C] on the CPU, in batch order.

    `to_logits` maps the model's outputs to class logits.
    """
    preprocess = inputs.Preprocess(accelerator.unwrap_model(model), accelerator.device)
    model.eval()
    logits = []
    for batch in console.bar(batches, "inference"):
        signals.raise_if_stopped()
        ready = preprocess(batch.inputs)
        with accelerator.autocast():
            per_view = [
                to_logits(inputs.forward(model, {**ready, "image": view(ready["image"])}).float())
                for view in views
            ]
        logits.append(torch.stack(per_view).mean(0))
    return torch.cat(logits).cpu()
