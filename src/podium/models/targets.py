"""How labels become what a model's outputs are held against, and outputs logits of the classes."""

import numpy as np
import torch
import torch.nn.functional as F
from timm.data.mixup import mixup_target
from torch import Tensor

from podium.config.models import Model
from podium.config.tasks import LOSSES
from podium.core.provenance import TrainingProvenance
from podium.scoring.task import Task

LEAST = 1e-6  # probability of a grade


class TargetCodec:
    """Of one model. Whatever its loss, `to_logits` gives logits whose softmax (of task: multilabel
    sigmoid) is the classes' probabilities, or of task: regression the number: so models of
    different losses can be blended.
    """

    def __init__(
        self, config: Model, task: Task, *, scale: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """`scale` is the mean and the standard deviation of a number to predict."""
        self.task, self.scale, self.smoothing = task, scale, config.label_smoothing
        self.loss = config.loss or LOSSES[task.name][0]
        count = len(task.classes)
        self.outputs = count  # numbers that the model gives an image
        if self.loss == "cumulative":
            self.outputs = count - 1
        elif self.loss == "binary_cross_entropy" and task.one_class and count == 2:
            self.outputs = 1

    @classmethod
    def of(cls, provenance: TrainingProvenance) -> "TargetCodec":
        """The codec of a trained model."""
        config = Model.model_validate(provenance.config)
        mean, deviation = provenance.scale
        return cls(config, Task.of(provenance), scale=(mean, deviation))

    def encode(self, targets: Tensor) -> Tensor:
        """Targets as `Task` has them -> what the loss takes: soft targets [B, C], smoothed; of
        loss: cumulative whether the grade is above each step [B, C - 1]; of task: regression
        numbers of mean 0 and standard deviation 1 [B, 1].
        """
        if self.task.name == "regression":
            mean, deviation = self.scale
            return (targets - mean) / deviation
        if self.loss == "cumulative":
            steps = torch.arange(self.outputs, device=targets.device)
            return self._smoothed((targets[:, None] > steps).float())
        if self.task.name == "multilabel":
            return self._smoothed(targets)
        return mixup_target(targets, len(self.task.classes), smoothing=self.smoothing)

    def _smoothed(self, targets: Tensor) -> Tensor:
        return targets * (1 - self.smoothing) + self.smoothing / 2

    def to_logits(self, values: Tensor) -> Tensor:
        """Outputs [B, outputs] -> logits [B, C].

        One logit z of the second class is [0, z]. Of one logit a class, the probabilities are the
        sigmoids over their sum. Of logits of the grade being above each step, they are the
        differences of the sigmoids, none of which counts for more than the one before.
        """
        if self.task.name == "regression":
            mean, deviation = self.scale
            return values * deviation + mean
        if self.loss == "cumulative":
            above = values.sigmoid().cummin(dim=1).values  # [B, C - 1]
            bounds = torch.cat([torch.ones_like(above[:, :1]), above, 0 * above[:, :1]], dim=1)
            return (bounds[:, :-1] - bounds[:, 1:]).clamp(min=LEAST).log()
        if self.loss != "binary_cross_entropy" or self.task.name == "multilabel":
            return values
        if self.outputs == 1:
            return torch.cat([torch.zeros_like(values), values], dim=1)
        return F.logsigmoid(values)

    def error(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The plain error of logits [N, C] against targets as `Task` has them, whatever the
        loss: cross-entropy; of task: regression the mean squared error.
        """
        if self.task.name == "regression":
            return F.mse_loss(logits, targets)
        if self.task.name == "multilabel":
            return F.binary_cross_entropy_with_logits(logits, targets)
        return F.cross_entropy(logits, targets)


def scale(task: Task, targets: np.ndarray) -> tuple[float, float]:
    """The mean and the standard deviation of the numbers `targets`; (0, 1) of classes."""
    if task.name != "regression":
        return 0.0, 1.0
    mean, deviation = np.mean(targets, dtype=float), np.std(targets, dtype=float)
    return float(mean), float(deviation) if deviation > 1e-6 * abs(mean) else 1.0
