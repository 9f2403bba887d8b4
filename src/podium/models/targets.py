"""Encode labels as loss targets; map a model's outputs to class logits."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from podium.config.models import Model
from podium.core.provenance import TrainingProvenance
from podium.models import losses, target_losses
from podium.models.loss import Loss
from podium.scoring.task import Scale, Task


class TargetCodec:
    """Encodes one model's targets and decodes its outputs, as its loss defines them."""

    def __init__(self, config: Model, task: Task, *, scale: Scale | None = None) -> None:
        """`scale`: of regression targets; None: they have mean 0 and standard deviation 1.

        Raises:
            UserError: see `losses.of`.
        """
        self.task, self.smoothing = task, config.label_smoothing
        self.scale = scale or Scale([0.0] * len(task.classes), [1.0] * len(task.classes))
        self.loss = self._several(config) if task.parts else losses.of(config, task.name)
        self.outputs = self.loss.outputs(task)  # per image

    def _several(self, config: Model) -> Loss:
        """The losses of several targets, each with a codec of its own."""
        parts, start = list[target_losses.Part](), (0, 0)
        targets = self.task.parts
        configs = target_losses.configs(
            config, {target.name: target.task.name for target in targets}
        )
        for target in targets:
            scale = Scale(self.scale.mean[target.columns], self.scale.std[target.columns])
            codec = TargetCodec(configs[target.name], target.task, scale=scale)
            weight = (config.target_weights or {}).get(target.name, 1.0)
            parts.append(target_losses.Part(target, codec, weight, start))
            start = parts[-1].end
        return target_losses.TargetLosses(tasks=("multitarget",), parts=parts)

    @classmethod
    def of(cls, provenance: TrainingProvenance) -> "TargetCodec":
        """The codec of a trained model."""
        config = Model.model_validate(provenance.config)
        return cls(config, Task.of(provenance), scale=Scale.of(provenance.scale))

    def encode(self, targets: Tensor) -> Tensor:
        """Targets as `Task.targets` returns them -> what the loss takes: float32 [B, C or O].

        Regression targets are standardized; labels are smoothed.
        """
        if self.task.name == "regression":
            mean, std = map(targets.new_tensor, self.scale)
            targets = (targets - mean) / std
        return self.loss.encode(targets, self.task, self.smoothing)

    def standardize(self, targets: np.ndarray) -> np.ndarray:
        """Targets of regression with mean 0 and standard deviation 1; others unchanged."""
        return self.scale.standardize(targets) if self.task.name == "regression" else targets

    def to_logits(self, outputs: Tensor) -> Tensor:
        """Outputs [B, O] -> logits [B, C] whose softmax (for multilabel, sigmoid) is the class
        probabilities; for regression, the predicted numbers [B, C].
        """
        if self.task.name == "regression":
            mean, std = map(outputs.new_tensor, self.scale)
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
        """The mean cross-entropy (for regression, squared error of standardized numbers) of logits
        [N, C] against targets as `Task.targets` returns them: comparable between models with
        different losses. With several targets, the mean of theirs.
        """
        if isinstance(self.loss, target_losses.TargetLosses):
            return self._unsmoothed_losses(self.loss, logits, targets)
        if self.task.name == "regression":
            std = logits.new_tensor(self.scale.std)
            return F.mse_loss(logits / std, targets / std)
        if self.task.name == "multilabel":
            return F.binary_cross_entropy_with_logits(logits, targets)
        return F.cross_entropy(logits, targets)

    def _unsmoothed_losses(
        self, loss: target_losses.TargetLosses, logits: Tensor, targets: Tensor
    ) -> Tensor:
        values = list[Tensor]()
        for part in loss.parts:
            target, column = part.target, targets[:, part.target.position]
            rows = ~column.isnan()
            own = column[rows].to(part.dtype).view(part.shape)
            if not len(own):
                continue
            values.append(part.codec.unsmoothed_loss(logits[rows][:, target.columns], own))
        return torch.stack(values).mean()
