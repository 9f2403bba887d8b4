"""The loss that a training run minimizes: a registered loss with its class weights."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from podium.config.models import Model
from podium.core.errors import UserError, counted
from podium.models.targets import TargetCodec


class Criterion:
    """The mean loss of a batch."""

    def __init__(
        self, config: Model, codec: TargetCodec, targets: np.ndarray, *, device: torch.device
    ) -> None:
        """The training images have `targets`, as `Task.targets` returns them.

        Raises:
            UserError: if `config.class_weights` does not have one weight per class.
        """
        self.codec, self.weights = codec, None
        if codec.loss.class_weights and codec.task.single_label:
            self.weights = class_weights(config, targets, codec.task.classes).to(device)

    def encode(self, targets: Tensor) -> Tensor:
        """Targets as `Task.targets` returns them, or class probabilities [B, C] -> loss targets
        [B, C or O].

        A class weight multiplies all of its image's smoothed target. Weighting each class's part
        instead, as `torch.nn.CrossEntropyLoss` does, lets the smoothing of frequent classes
        outweigh the labels of rare ones (https://github.com/pytorch/pytorch/issues/104776).
        """
        encoded = self.codec.encode(targets)
        if self.weights is None:
            return encoded
        weights = self.weights[targets] if targets.ndim == 1 else targets @ self.weights
        return encoded * weights[:, None]

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Outputs [B, O] and loss targets [B, C or O] -> the mean loss, a float32 scalar."""
        return self.codec.loss.loss(outputs.float(), targets, self.codec.task)

    def weight(self, targets: Tensor) -> Tensor:
        """The weight of a batch or micro-batch with loss targets: a scalar, the sum of its images'
        class weights, or the number of images.
        """
        if self.weights is None:
            return torch.tensor(float(len(targets)), device=targets.device)
        return targets.sum()


def class_weights(config: Model, targets: np.ndarray, classes: Sequence[str]) -> Tensor:
    """Class weights float32 [C]: `config.class_weights` for training images of the classes
    `targets` [N]. `balanced` is scikit-learn's formula; a class without images weighs 0.

    Raises:
        UserError: if the number of weights differs from that of the classes.
    """
    if config.class_weights is None:
        return torch.ones(len(classes))
    if config.class_weights == "balanced":
        from sklearn.utils.class_weight import compute_class_weight

        present, weights = np.unique(targets), np.zeros(len(classes))
        weights[present] = compute_class_weight("balanced", classes=present, y=targets)
        return torch.as_tensor(weights, dtype=torch.float32)
    if len(config.class_weights) != len(classes):
        raise UserError(
            f"class_weights: {counted(len(config.class_weights), 'weight')} for {len(classes)} "
            f"classes ({', '.join(classes)}). Give one per class, in this order."
        )
    return torch.as_tensor(config.class_weights, dtype=torch.float32)
