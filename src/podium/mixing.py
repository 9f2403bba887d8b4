"""What happens to a batch on the device: soft targets, MixUp and CutMix, random erasing."""

import torch
from timm.data.mixup import Mixup, mixup_target
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from podium.model_schema import Model


class Mixer:
    """Blends the images of a batch, by timm. Draws from Python's and NumPy's global generators."""

    def __init__(self, config: Model, *, classes: int, device: torch.device) -> None:
        self.classes, self.smoothing = classes, config.label_smoothing
        self.erasing = None
        if config.random_erasing:
            self.erasing = RandomErasing(config.random_erasing, device=device)
        self.mixup = None
        if config.mix is not None:
            self.mixup = Mixup(
                mixup_alpha=config.mix.mixup,
                cutmix_alpha=config.mix.cutmix,
                prob=config.mix.probability,
                switch_prob=0.5 if config.mix.cutmix_share is None else config.mix.cutmix_share,
                label_smoothing=config.label_smoothing,
                num_classes=classes,
            )

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images [B, 3, size, size] (changed in place) and classes [B] -> the images,
        and their soft targets [B, C].

        Source: https://arxiv.org/abs/1710.09412, https://arxiv.org/abs/1905.04899,
        https://arxiv.org/abs/1708.04896.
        """
        if self.erasing is not None:
            images = self.erasing(images)
        if self.mixup is not None:
            return self.mixup(images, targets)
        return images, self.soft(targets)

    def soft(self, targets: Tensor) -> Tensor:
        """Classes [B] as smoothed targets [B, C]."""
        return mixup_target(targets, self.classes, smoothing=self.smoothing)
