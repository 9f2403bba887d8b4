"""Inference: one function for validation, out-of-fold and test images."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor, nn

from podium.core import console, signals
from podium.images.loading import Batch
from podium.models import inputs
from podium.models.targets import TargetCodec

# Devices on which the first batch of each size takes seconds: cuDNN prepares its algorithms for it.
ONE_SIZE = {"cuda"}

View = Callable[[Tensor], Tensor]  # images [B, 3, size, size] -> the same shape


@torch.inference_mode()
def infer(
    model: nn.Module,
    batches: Iterable[Batch],
    codec: TargetCodec,
    *,
    views: Sequence[View] = (lambda images: images,),
    accelerator: Accelerator,
    split_on_oom: bool = False,
) -> Tensor:
    """Average the logits over the views of each image: float32 [N, C] on the CPU, in batch order.

    With `split_on_oom`, batches that do not fit the device's memory are halved until they do.

    Raises:
        RuntimeError: if a batch, or with `split_on_oom` a single image, does not fit.
    """
    where = accelerator.device
    preprocess = inputs.Preprocess(accelerator.unwrap_model(model), where)
    model.eval()
    rows = 0  # of the largest batch so far

    def predict(part: inputs.Inputs) -> Tensor:
        nonlocal rows
        count = len(part["image"])
        rows = max(rows, count)
        if count < rows and where.type in ONE_SIZE:
            part = inputs.pad(part, rows, where)
        ready = preprocess(part)
        with accelerator.autocast():
            outputs = [
                inputs.forward(model, {**ready, "image": view(ready["image"])}) for view in views
            ]
            logits = torch.stack([codec.to_logits(output.float()) for output in outputs])
        return codec.average(logits)[:count]

    logits: list[Tensor] = []
    parts = 1  # per batch; kept for the batches that follow
    for batch in console.bar(batches, "inference"):
        signals.raise_if_stopped()
        size = len(batch.targets)
        while True:
            try:
                logits += [predict(part) for part in inputs.split(batch.inputs, min(parts, size))]
                break
            except RuntimeError as error:
                if not (split_on_oom and parts < size and should_reduce_batch_size(error)):
                    raise
            clear_device_cache(garbage_collection=True)  # the handler would keep tensors alive
            parts, rows = 2 * parts, 0
            console.say(
                f"warning: {math.ceil(2 * size / parts)} images do not fit the device's memory for "
                f"inference; splitting each batch into {parts}"
            )
    return torch.cat(logits).cpu()
