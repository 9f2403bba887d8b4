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
    batch_size: int,
    views: Sequence[View] = PLAIN,
    split_on_oom: bool = False,
) -> Tensor:
    """Average the logits over the views of each image: float32 [N, C] on the CPU, in batch order.

    The network sees at most `batch_size` images at a time: a batch may have more, since it has all
    images of a unit. With `split_on_oom`, the batch size is halved until it fits the device's
    memory.

    Raises:
        RuntimeError: if a batch, or with `split_on_oom` a single image, does not fit.
    """
    logits, _ = infer_features(
        model,
        None,
        batches,
        codec,
        accelerator=accelerator,
        batch_size=batch_size,
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
    batch_size: int,
    views: Sequence[View] = PLAIN,
    split_on_oom: bool = False,
) -> tuple[Tensor, Tensor]:
    """The same logits, and what `layer` receives for each view: float32 [N, V, D] on the CPU
    ([N, 0] without a layer).

    Raises:
        RuntimeError: as `infer`.
    """
    model.eval()
    results = list[tuple[Tensor, Tensor]]()
    with _listening(layer) as received:
        network = _Network(model, codec, accelerator, views, received)
        for batch in console.bar(batches, "inference"):
            signals.raise_if_stopped()
            while True:
                try:
                    results.append(network.predict(batch.inputs, batch_size))
                    break
                except RuntimeError as error:
                    size = network.at_once(len(batch.inputs["image"]), batch_size)
                    if not (split_on_oom and size > 1 and should_reduce_batch_size(error)):
                        raise
                received.clear()
                clear_device_cache(garbage_collection=True)  # the handler would keep tensors alive
                batch_size = math.ceil(size / 2)  # for the batches that follow, too
                console.say(
                    f"warning: {size} images do not fit the device's memory for inference; "
                    f"predicting {batch_size} at a time"
                )
    logits, features = zip(*results, strict=True)
    return torch.cat(logits).cpu(), torch.cat(features)


class _Network:
    """A network that predicts each view of the images of a batch."""

    def __init__(
        self,
        model: nn.Module,
        codec: TargetCodec,
        accelerator: Accelerator,
        views: Sequence[View],
        received: list[Tensor],
    ) -> None:
        self.model, self.codec, self.accelerator = model, codec, accelerator
        self.views, self.received = views, received  # by a layer, from one view after the other
        self.device = accelerator.device
        self.preprocess = inputs.Preprocess(accelerator.unwrap_model(model), self.device)

    def predict(self, batch: inputs.Inputs, size: int) -> tuple[Tensor, Tensor]:
        """The logits of the images [N, C], and what the layer has received for them [N, V, D]; at
        most `size` images are in the network at a time.
        """
        self.received.clear()
        images = batch["image"]
        rest = self.preprocess({name: batch[name] for name in batch if name != "image"})
        with self.accelerator.autocast():
            # Of the parts, only the last may be padded.
            parts = [self._outputs(part, size) for part in images.split(size)]
            of_views = [torch.cat(part)[: len(images)] for part in zip(*parts, strict=True)]
            outputs = [inputs.finish(self.model, outputs, rest) for outputs in of_views]
            logits = torch.stack([self.codec.to_logits(output.float()) for output in outputs])
        averaged = inputs.per_image(rest, self.codec.average(logits), len(images))
        # What comes last waits for the device, and so for these copies.
        return averaged, self._features(len(images)).to("cpu", non_blocking=True)

    def at_once(self, count: int, size: int) -> int:
        """How many of `count` images are in the network at a time, with those that are added so
        that it sees no other size.
        """
        return size if self.device.type in ONE_SIZE else min(count, size)

    def _outputs(self, images: Tensor, size: int) -> list[Tensor]:
        """The network's own outputs for each view of at most `size` images."""
        if (padded := self.at_once(len(images), size)) > len(images):
            images = inputs.pad(images.to(self.device, non_blocking=True), padded)
        ready = self.preprocess({"image": images})["image"]
        return [inputs.of_images(self.model, view(ready)) for view in self.views]

    def _features(self, count: int) -> Tensor:
        if not self.received:
            return torch.empty(count, 0)
        views = len(self.views)
        of_views = [torch.cat(self.received[view::views])[:count] for view in range(views)]
        return torch.stack(of_views, dim=1)


@contextmanager
def _listening(layer: nn.Module | None) -> Iterator[list[Tensor]]:
    """A list of all that `layer` receives."""
    received = list[Tensor]()
    if layer is None:
        yield received
        return
    hook = layer.register_forward_pre_hook(lambda _, args: received.append(args[0].float()))
    try:
        yield received
    finally:
        hook.remove()
