"""What happens to a batch on the device: soft targets, MixUp and CutMix, random erasing."""

import torch
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from podium.config.models import Model
from podium.models.inputs import Inputs
from podium.models.targets import TargetCodec


class Mixer:
    """Blends the images of a batch, by timm. Draws from Python's and NumPy's global generators."""

    def __init__(self, config: Model, codec: TargetCodec, *, device: torch.device) -> None:
        self.codec = codec
        self.erasing = None
        if config.random_erasing:
            self.erasing = RandomErasing(config.random_erasing, device=device)
        self.mixup = None
        if config.mix is not None:
            self.mixup = Mixup(
                mixup_alpha=config.mix.mixup_alpha,
                cutmix_alpha=config.mix.cutmix_alpha,
                prob=config.mix.prob,
                switch_prob=0.5 if config.mix.switch_prob is None else config.mix.switch_prob,
                label_smoothing=0.0,
            )

    def __call__(self, inputs: Inputs, targets: Tensor) -> tuple[Inputs, Tensor]:
        """Erase and mix preprocessed inputs (the images [B, 3, size, size] in place), and turn
        targets as `Task` encodes them into loss targets [B, outputs], mixed in the same way.

        Source: https://arxiv.org/abs/1710.09412, https://arxiv.org/abs/1905.04899,
        https://arxiv.org/abs/1708.04896.
        """
        images, encoded = inputs["image"], self.codec.encode(targets)
        if self.erasing is not None:
            images = self.erasing(images)
        if self.mixup is not None:
            # timm mixes one-hot classes. With one class per image, row i of its result says how
            # much of each image is in image i.
            self.mixup.num_classes = len(images)
            images, shares = self.mixup(images, torch.arange(len(images), device=images.device))
            encoded = shares @ encoded
        return {**inputs, "image": images}, encoded
