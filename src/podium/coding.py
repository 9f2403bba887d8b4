"""How labels become what a model's outputs are held against, and outputs logits of the classes."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timm.data.mixup import mixup_target
from torch import Tensor

from podium.model_schema import Model
from podium.problem import Problem
from podium.task_schema import LOSSES

LEAST = 1e-6  # probability of a grade


class Coding:
    """Of one model. Whatever its loss, `readout` gives logits whose softmax (of task: multilabel
    sigmoid) is the classes' probabilities, or of task: regression the number: so models of
    different losses can be blended.
    """

    def __init__(
        self, config: Model, problem: Problem, *, scale: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """`scale` is the mean and the standard deviation of a number to predict."""
        self.problem, self.scale, self.smoothing = problem, scale, config.label_smoothing
        self.loss = config.loss or LOSSES[problem.task][0]
        count = len(problem.classes)
        self.outputs = count  # numbers that the model gives an image
        if self.loss == "cumulative":
            self.outputs = count - 1
        elif self.loss == "binary_cross_entropy" and problem.one_class and count == 2:
            self.outputs = 1

    @classmethod
    def of(cls, made_from: dict[str, Any]) -> "Coding":
        """That of a model that was made from what `made_from` says."""
        config = Model.model_validate(made_from["config"])
        return cls(config, Problem.of(made_from), scale=tuple(made_from["scale"]))

    def encode(self, targets: Tensor) -> Tensor:
        """Targets as `Problem` has them -> what the loss takes: soft targets [B, C], smoothed; of
        loss: cumulative whether the grade is above each step [B, C - 1]; of task: regression
        numbers of mean 0 and standard deviation 1 [B, 1].
        """
        if self.problem.task == "regression":
            mean, deviation = self.scale
            return (targets - mean) / deviation
        if self.loss == "cumulative":
            steps = torch.arange(self.outputs, device=targets.device)
            return self._smoothed((targets[:, None] > steps).float())
        if self.problem.task == "multilabel":
            return self._smoothed(targets)
        return mixup_target(targets, len(self.problem.classes), smoothing=self.smoothing)

    def _smoothed(self, targets: Tensor) -> Tensor:
        return targets * (1 - self.smoothing) + self.smoothing / 2

    def readout(self, values: Tensor) -> Tensor:
        """Outputs [B, outputs] -> logits [B, C].

        One logit z of the second class is [0, z]. Of one logit a class, the probabilities are the
        sigmoids over their sum. Of logits of the grade being above each step, they are the
        differences of the sigmoids, none of which counts for more than the one before.
        """
        if self.problem.task == "regression":
            mean, deviation = self.scale
            return values * deviation + mean
        if self.loss == "cumulative":
            above = values.sigmoid().cummin(dim=1).values  # [B, C - 1]
            bounds = torch.cat([torch.ones_like(above[:, :1]), above, 0 * above[:, :1]], dim=1)
            return (bounds[:, :-1] - bounds[:, 1:]).clamp(min=LEAST).log()
        if self.loss != "binary_cross_entropy" or self.problem.task == "multilabel":
            return values
        if self.outputs == 1:
            return torch.cat([torch.zeros_like(values), values], dim=1)
        return F.logsigmoid(values)

    def error(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The plain error of logits [N, C] against targets as `Problem` has them, whatever the
        loss: cross-entropy; of task: regression the mean squared error.
        """
        if self.problem.task == "regression":
            return F.mse_loss(logits, targets)
        if self.problem.task == "multilabel":
            return F.binary_cross_entropy_with_logits(logits, targets)
        return F.cross_entropy(logits, targets)


def scale(problem: Problem, targets: np.ndarray) -> tuple[float, float]:
    """The mean and the standard deviation of the numbers `targets`; (0, 1) of classes."""
    if problem.task != "regression":
        return 0.0, 1.0
    mean, deviation = np.mean(targets, dtype=float), np.std(targets, dtype=float)
    return float(mean), float(deviation) if deviation > 1e-6 * abs(mean) else 1.0
