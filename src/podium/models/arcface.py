"""ArcFace: cross-entropy of angles between features and class weights, with a margin."""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from podium.config.models import Model
from podium.models.loss import CrossEntropy, weighted_mean
from podium.scoring.task import Task

MIN_SINE_SQUARED = 1e-6  # at 0 the gradient of the square root is infinite


@dataclass(frozen=True)
class ArcFace(CrossEntropy):
    """Outputs are the cosines [B, C] of the angles between features and the classes' weights.

    In training, `margin` is added to the angle of the image's class; logits have no margin. For a
    target of several classes (MixUp, CutMix, label smoothing, soft pseudo-labels), the loss is the
    weighted mean of those of the single classes, each with the margin at its own angle.

    Source: Deng et al. 2019, https://arxiv.org/abs/1801.07698
    """

    cosine_head = True
    arguments = ("arcface_margin", "arcface_scale")
    margin: float = 0.5  # radians
    scale: float = 30.0

    def configure(self, config: Model) -> "ArcFace":
        margin, scale = config.arcface_margin, config.arcface_scale
        return replace(
            self,
            margin=self.margin if margin is None else margin,
            scale=self.scale if scale is None else scale,
        )

    def to_logits(self, outputs: Tensor, task: Task) -> Tensor:
        return self.scale * outputs

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        outputs = outputs.clamp(-1, 1)  # from rounding
        with_margin = self.scale * add_margin(outputs, self.margin)
        # -log(e^m / (e^m + sum of the other classes' e^z)), for a class's logit m with margin
        others = _logsumexp_of_others(self.scale * outputs)
        return weighted_mean(F.softplus(others - with_margin), targets)


def add_margin(cosines: Tensor, margin: float) -> Tensor:
    """cos(angle + margin) of the angles with these cosines; where the sum exceeds pi and its cosine
    would rise again, cos(angle) - margin * sin(margin), which still falls with the angle.

    Source: the authors' code, https://github.com/deepinsight/insightface
    """
    sines = (1 - cosines**2).clamp(min=MIN_SINE_SQUARED).sqrt()
    shifted = cosines * math.cos(margin) - sines * math.sin(margin)
    return torch.where(cosines > -math.cos(margin), shifted, cosines - margin * math.sin(margin))


def _logsumexp_of_others(logits: Tensor) -> Tensor:
    """For each class, the logarithm of the sum of the other classes' exponentials: [B, C].

    It is log(sum - e^z), exactly: only for the highest z does the difference lose all digits, so
    its sum is computed without it.
    """
    highest = F.one_hot(logits.argmax(dim=1), logits.shape[1]).bool()
    without_highest = logits.masked_fill(highest, -math.inf).logsumexp(dim=1, keepdim=True)
    total = logits.logsumexp(dim=1, keepdim=True)
    shares = (logits - total).exp().masked_fill(highest, 0.0)
    return torch.where(highest, without_highest, total + torch.log1p(-shares))
