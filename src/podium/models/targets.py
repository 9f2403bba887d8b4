"""Encode labels as loss targets; map a model's outputs to class logits."""

import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from podium.config.models import Model
from podium.core.provenance import TrainingProvenance
from podium.models import losses
from podium.scoring.task import Task


class TargetCodec:
    """Encodes one model's targets and decodes its outputs, as its loss defines them."""

    def __init__(
        self, config: Model, task: Task, *, scale: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """`scale`: mean and standard deviation of a regression target.

        Raises:
            UserError: see `losses.of`.
        """
        self.task, self.scale, self.smoothing = task, scale, config.label_smoothing
        self.loss = losses.of(config, task.name)
        self.outputs = self.loss.outputs(task)  # per image

    @classmethod
    def of(cls, provenance: TrainingProvenance) -> "TargetCodec":
        """The codec of a trained model."""
        config = Model.model_validate(provenance.config)
        mean, std = provenance.scale
        return cls(config, Task.of(provenance), scale=(mean, std))

    def encode(self, targets: Tensor) -> Tensor:
        """Targets as `Task.targets` returns them -> what the loss takes: float32 [B, C or O].

        Regression targets are standardized; labels are smoothed.
        """
        if self.task.name == "regression":
            mean, std = self.scale
            targets = (targets - mean) / std
        return self.loss.encode(targets, self.task, self.smoothing)

    def standardize(self, targets: np.ndarray) -> np.ndarray:
        """Targets of regression with mean 0 and standard deviation 1; others unchanged."""
        if self.task.name != "regression":
            return targets
        mean, std = self.scale
        return (targets - mean) / std

    def to_logits(self, outputs: Tensor) -> Tensor:
        """Outputs [B, O] -> logits [B, C] whose softmax (for multilabel, sigmoid) is the class
        probabilities; for regression, the predicted numbers [B, 1].
        """
        if self.task.name == "regression":
            mean, std = self.scale
            outputs = outputs * std + mean
        return self.loss.to_logits(outputs, self.task)

    def average(self, logits: Tensor) -> Tensor:
        """The mean of the logits, or of the probabilities, of an image's views: [V, B, C] ->
        [B, C].
        """
        if self.loss.averaging == "probabilities" and len(logits) > 1:
            return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(logits))
        return logits.mean(0)

    def unsmoothed_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy (for regression, squared error) of logits [N, C] against targets
        as `Task.targets` returns them: comparable between models with different losses.
        """
        if self.task.name == "regression":
            return F.mse_loss(logits, targets)
        if self.task.name == "multilabel":
            return F.binary_cross_entropy_with_logits(logits, targets)
        return F.cross_entropy(logits, targets)
