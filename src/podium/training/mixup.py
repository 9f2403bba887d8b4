"""Augmentation of whole batches on the device: random erasing, MixUp and CutMix."""

import torch
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from podium.config.models import Model
from podium.models.inputs import Inputs
from podium.training.criterion import Criterion


class Mixer:
    """Encodes a batch's targets, and erases and mixes its images with timm.

    Draws from Python's and NumPy's global random generators.
    """

    def __init__(self, config: Model, criterion: Criterion, *, device: torch.device) -> None:
        self.criterion = criterion
        self.erasing = self.mixup = None
        if config.random_erasing:
            self.erasing = RandomErasing(config.random_erasing, device=device)
        if (mix := config.mix) is not None:
            self.mixup = Mixup(
                mixup_alpha=mix.mixup_alpha,
                cutmix_alpha=mix.cutmix_alpha,
                prob=mix.prob,
                switch_prob=0.5 if mix.switch_prob is None else mix.switch_prob,
                label_smoothing=0.0,  # the criterion has smoothed them
            )

    def __call__(self, inputs: Inputs, targets: Tensor) -> tuple[Inputs, Tensor]:
        """Erase and mix preprocessed inputs (the images [B, 3, size, size] in place), and turn
        targets as `Task` encodes them into loss targets [B, C or O]. Targets and metadata are mixed
        in the same proportion.

        Source: https://arxiv.org/abs/1710.09412 (MixUp), https://arxiv.org/abs/1905.04899
        (CutMix), https://arxiv.org/abs/1708.04896 (random erasing).
        """
        images, encoded = inputs["image"], self.criterion.encode(targets)
        if self.erasing is not None:
            images = self.erasing(images)
        if self.mixup is not None:
            # timm mixes one-hot classes. With one class per image, row i of its result says how
            # much of each image is in image i.
            self.mixup.num_classes = len(images)
            images, shares = self.mixup(images, torch.arange(len(images), device=images.device))
            encoded = shares @ encoded
            inputs = {name: shares @ v if name != "image" else v for name, v in inputs.items()}
        return {**inputs, "image": images}, encoded
