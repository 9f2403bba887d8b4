"""Networks that see all images of an id together: pooling of the images' features."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from podium.core.errors import UserError

NAME = "image_pool"  # of the submodule
CLASSIFIER = f"{NAME}.classifier"
SIZES = "unit_sizes"  # of the input: int64 [U], how many of a batch's images each unit has

HIDDEN_SIZE = 128


class GatedAttention(nn.Module):
    """Scores features [N, D] by two hidden layers, tanh and a sigmoid gate: [N].

    The last layer is initialized to zero, so pooling starts as the mean.

    Source: Ilse, Tomczak and Welling 2018, https://arxiv.org/abs/1802.04712, equation 9.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, HIDDEN_SIZE)
        self.gate = nn.Linear(size, HIDDEN_SIZE)
        self.score = nn.Linear(HIDDEN_SIZE, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.hidden(features).tanh() * self.gate(features).sigmoid()
        scores: Tensor = self.score(hidden).float().squeeze(1)
        return scores


class ImagePool(nn.Module):
    """Classifies the mean of the features of each unit's images, or their sum weighted by
    attention.
    """

    def __init__(self, kind: Literal["mean", "attention"], size: int, classifier: nn.Module):
        """`size` is that of the features, which `classifier` takes."""
        super().__init__()
        self.attention = GatedAttention(size) if kind == "attention" else None
        self.classifier = classifier

    def forward(self, features: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Features [N, D] of images, those of a unit one after the other -> outputs [U, O].

        `sizes` [U] is the number of images of each unit. None: each image is one.

        Raises:
            UserError: if the features are not vectors.
        """
        if features.ndim != 2:
            raise UserError(
                f"image_pool: the architecture has features of shape {tuple(features.shape[1:])}, "
                "not a vector per image. Choose another, or set image_pool: null."
            )
        if sizes is not None:
            scores = None if self.attention is None else self.attention(features)
            features = pool(features, sizes, scores)
        outputs: Tensor = self.classifier(features)
        return outputs


def pool(values: Tensor, sizes: Tensor, scores: Tensor | None = None) -> Tensor:
    """The mean of the rows of `values` [N, D] of each unit, or their sum weighted by the softmax of
    `scores` [N] within the unit: float32 [U, D].
    """
    values = values.float()
    units = torch.repeat_interleave(sizes, output_size=len(values))  # number of each row's unit
    if scores is None:
        scores = values.new_zeros(len(values))
    lowest = torch.full_like(sizes, float("-inf"), dtype=scores.dtype)
    highest = lowest.scatter_reduce(0, units, scores.detach(), "amax")
    weights = (scores - highest[units]).exp()
    total = torch.zeros_like(highest).index_add(0, units, weights)
    weights = weights / total[units]
    return values.new_zeros(len(sizes), values.shape[1]).index_add(
        0, units, weights[:, None] * values
    )


def add(net: nn.Module, names: tuple[str, ...], kind: Literal["mean", "attention"]) -> None:
    """Move the network's classifier behind a pooling of features: the network itself then returns
    the features [N, D] of images.

    `names` are those of its classifiers.

    Raises:
        UserError: if it has several.
    """
    if len(names) > 1:
        raise UserError(
            f"image_pool requires one head, but {type(net).__name__} has {len(names)}. Choose "
            "another architecture, or set image_pool: null."
        )
    classifier = net.get_submodule(names[0])
    first: Any = classifier[0] if isinstance(classifier, nn.Sequential) else classifier
    size = first.num_features if isinstance(first, nn.BatchNorm1d) else first.in_features
    net.set_submodule(names[0], nn.Identity())
    setattr(net, NAME, ImagePool(kind, size, classifier))


def of(net: nn.Module) -> ImagePool | None:
    """The pooling of a network that has one."""
    found: ImagePool | None = getattr(net, NAME, None)
    return found
