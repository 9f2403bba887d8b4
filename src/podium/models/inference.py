"""Inference: one function for validation, out-of-fold and test images."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

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
PLAIN: Sequence[View] = (lambda images: images,)


def infer(
    model: nn.Module,
    batches: Iterable[Batch],
    codec: TargetCodec,
    *,
    accelerator: Accelerator,
    views: Sequence[View] = PLAIN,
    split_on_oom: bool = False,
) -> Tensor:
    """Average the logits over the views of each image: float32 [N, C] on the CPU, in batch order.

    With `split_on_oom`, batches that do not fit the device's memory are halved until they do.

    Raises:
        RuntimeError: if a batch, or with `split_on_oom` a single image, does not fit.
    """
    logits, _ = infer_features(
        model,
        None,
        batches,
        codec,
        accelerator=accelerator,
        views=views,
        split_on_oom=split_on_oom,
    )
    return logits


@torch.inference_mode()
def infer_features(
    model: nn.Module,
    layer: nn.Module | None,
    batches: Iterable[Batch],
    codec: TargetCodec,
    *,
    accelerator: Accelerator,
    views: Sequence[View] = PLAIN,
    split_on_oom: bool = False,
) -> tuple[Tensor, Tensor]:
    """The same logits, and what `layer` receives for each view: float32 [N, V, D] on the CPU
    ([N, 0] without a layer).

    Raises:
        RuntimeError: as `infer`.
    """
    where = accelerator.device
    preprocess = inputs.Preprocess(accelerator.unwrap_model(model), where)
    model.eval()
    received = list[Tensor]()  # by `layer`, per view
    rows = 0  # of the largest batch so far

    def predict(part: inputs.Inputs) -> tuple[Tensor, Tensor]:
        nonlocal rows
        count = len(part["image"])
        rows = max(rows, count)
        if count < rows and where.type in ONE_SIZE:
            part = inputs.pad(part, rows, where)
        ready = preprocess(part)
        received.clear()
        with accelerator.autocast():
            outputs = [
                inputs.forward(model, {**ready, "image": view(ready["image"])}) for view in views
            ]
            logits = torch.stack([codec.to_logits(output.float()) for output in outputs])
        features = torch.stack(received, 1) if received else ready["image"].new_empty(rows, 0)
        averaged = inputs.per_image(ready, codec.average(logits))
        # What comes last waits for the device, and so for these copies.
        return averaged[:count], features[:count].to("cpu", non_blocking=True)

    results = list[tuple[Tensor, Tensor]]()
    parts = 1  # per batch; kept for the batches that follow
    with _listening(layer, received):
        for batch in console.bar(batches, "inference"):
            signals.raise_if_stopped()
            size, count = len(batch.targets), len(batch.inputs["image"])
            while True:
                try:
                    results += [
                        predict(part) for part in inputs.split(batch.inputs, min(parts, size))
                    ]
                    break
                except RuntimeError as error:
                    if not (split_on_oom and parts < size and should_reduce_batch_size(error)):
                        raise
                received.clear()
                clear_device_cache(garbage_collection=True)  # the handler would keep tensors alive
                parts, rows = 2 * parts, 0
                console.say(
                    f"warning: {math.ceil(2 * count / parts)} images do not fit the device's "
                    f"memory for inference; splitting each batch into {parts}"
                )
    logits, features = zip(*results, strict=True)
    return torch.cat(logits).cpu(), torch.cat(features)


@contextmanager
def _listening(layer: nn.Module | None, received: list[Tensor]) -> Iterator[None]:
    """Append all that `layer` receives."""
    if layer is None:
        yield
        return
    hook = layer.register_forward_pre_hook(lambda _, args: received.append(args[0].float()))
    try:
        yield
    finally:
        hook.remove()
