"""Inference: one function for validation, out-of-fold and test images."""

from collections.abc import Callable, Iterable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from podium import interrupt, models, progress
from podium.loading import Batch
from podium.schema import ViewName
from podium.views import VIEWS


@torch.inference_mode()
def infer(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    views: Sequence[ViewName],
    readout: Callable[[Tensor], Tensor],
    accelerator: Accelerator,
) -> Tensor:
    """The mean of the views' logits for each image, in their order: float32 [N, C], CPU.

    `readout` makes logits of the model's outputs.
    """
    normalize = models.Normalize(accelerator.unwrap_model(model)).to(accelerator.device)
    model.eval()
    logits = []
    for batch in progress.bar(batches, "inference"):
        interrupt.check()
        images = normalize(batch.images.to(accelerator.device, non_blocking=True))
        with accelerator.autocast():
            seen = [readout(model(VIEWS[view](images)).float()) for view in views]
        logits.append(torch.stack(seen).mean(0))
    return torch.cat(logits).cpu()
