"""Where a network looked: Grad-CAM for convolutional networks and transformers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from podium.config.models import Model
from podium.images.augment import Augmentation
from podium.images.store import ImageStore
from podium.models import image_pool, inputs, weights
from podium.models.targets import TargetCodec
from podium.scoring.task import Target

BATCH = 8  # images


class NoGridError(Exception):
    """A network of this class has no layer whose values lie on a grid over the image."""


class Explainer:
    """The network of one fold."""

    def __init__(self, path: Path) -> None:
        """Load the weights at `path`.

        Raises:
            UserError: as `weights.load`.
        """
        net, training, _ = weights.load(path)
        self.net = net.eval().requires_grad_(False)
        self.config = Model.model_validate(training.config)
        self.codec = TargetCodec.of(training)

    def explain(
        self,
        store: ImageStore,
        images: Sequence[str],
        classes: Sequence[int],
        part: Target | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The squares of `images` of `store` that the network sees, uint8 [N, size, size, C], and
        heat maps of each for its class, float32 [N, h, w], 0 to 1. `part`: of several targets, the
        one with these classes.

        Raises:
            NoGridError: as `grad_cam`.
        """
        size, mode = self.config.image_size, self.config.resize_mode
        plain = Augmentation("none", size=size, resize_mode=mode, channels=store.channels)
        pixels = np.stack([plain(store.decode(image), bytes(16)) for image in images])
        where = torch.device("cpu")
        preprocess = inputs.Preprocess(self.net, where)
        batches = zip(
            torch.from_numpy(pixels).split(BATCH), torch.tensor(classes).split(BATCH), strict=True
        )
        heats = [
            grad_cam(self.net, self.codec, preprocess({"image": batch})["image"], wanted, part)
            for batch, wanted in batches
        ]
        return pixels, torch.cat(heats).numpy()


def grad_cam(
    net: nn.Module,
    codec: TargetCodec,
    images: Tensor,
    classes: Tensor,
    part: Target | None = None,
) -> Tensor:
    """Heat maps [N, h, w] (0 to 1) of `images` [N, C, size, size] for the logits of `classes` [N],
    each by itself, without the other images of its unit. If there are several targets, the classes
    are those of the target `part`.

    The activations of the last layer with a grid (of a transformer, the input of its last block)
    times the gradient of the logit, summed over the channels; negative sums become 0.

    Raises:
        NoGridError: if the network has no such layer.

    Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391; without averaging the
    gradients: Draelos and Carin 2020, https://arxiv.org/abs/2011.08891
    """
    captured = list[Tensor]()

    def capture(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not isinstance(arguments[0], Tensor):
            raise NoGridError(type(net).__name__)
        captured.append(arguments[0].detach().requires_grad_())
        return captured[0], *arguments[1:]

    blocks = getattr(net, "blocks", None)
    with torch.enable_grad():
        if isinstance(blocks, nn.Sequential | nn.ModuleList) and hasattr(net, "cls_token"):
            with blocks[-1].register_forward_pre_hook(capture):
                outputs = net(images)
        elif hasattr(net, "forward_features"):
            capture(net, (net.forward_features(images),))  # type: ignore[operator]
            outputs = net.forward_head(captured[0])  # type: ignore[operator]
        else:
            raise NoGridError(type(net).__name__)
        if (pool := image_pool.of(net)) is not None:
            outputs = pool(outputs)
        logits, task = codec.to_logits(outputs.float()), codec.task
        if part is not None:
            logits, task = logits[:, part.columns], part.task
        if task.single_label:  # what speaks for the class, not for all of them
            logits = logits - logits.mean(dim=1, keepdim=True)
        chosen = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, captured[0])
    heat = _grid(net, captured[0].detach() * gradient).relu()
    if heat.shape[1:].numel() == 1:
        raise NoGridError(type(net).__name__)
    top = heat.flatten(1).max(dim=1).values.clamp(min=1e-12)
    scaled: Tensor = heat / top[:, None, None]
    return scaled


def _grid(net: nn.Module, values: Tensor) -> Tensor:
    """Sum over the channels: [N, h, w] of [N, C, h, w], [N, h, w, C] or tokens [N, T, C]."""
    channels = net.num_features
    if values.ndim == 4:
        return values.sum(dim=1 if values.shape[1] == channels else 3)
    if values.ndim != 3:
        raise NoGridError(type(net).__name__)
    prefix = int(getattr(net, "num_prefix_tokens", 0))
    tokens = values[:, prefix:].sum(dim=2)
    side = round(tokens.shape[1] ** 0.5)
    if side * side != tokens.shape[1]:
        raise NoGridError(type(net).__name__)
    return tokens.view(-1, side, side)
