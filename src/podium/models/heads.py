"""The classifier at the end of a network: what replaces timm's linear layer."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from podium.config.models import Model
from podium.core.errors import UserError
from podium.models.layers import classifier_names
from podium.models.losses import needs_cosines

HEAD_STD = 0.01


class CosineLinear(nn.Linear):
    """The cosine of the angle between the features [B, D] and the weights of each class: [B, C].

    It is computed in float32 under autocast, too: a loss multiplies it by a large scale.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        nn.init.xavier_normal_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        kind = features.device.type
        # The meta device has no autocast.
        with nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False):
            return F.linear(F.normalize(features.float()), F.normalize(self.weight))


def classifier(model: nn.Module) -> nn.Linear:
    """The linear layer at the end, whose inputs are the features that nearest neighbors compare.

    Raises:
        UserError: if there is none, or several.
    """
    names = classifier_names(model)
    head = model.get_submodule(names[0])
    last = head[-1] if isinstance(head, nn.Sequential) else head
    if len(names) == 1 and isinstance(last, nn.Linear):
        return last
    raise UserError(
        f"predict.neighbors requires models with one linear head, but that of "
        f"{type(model).__name__} is another. Set neighbors: null, or choose another architecture."
    )


def only_classifier(model: nn.Module) -> nn.Module:
    """The module that maps features to outputs, of a network with one."""
    (name,) = classifier_names(model)
    return model.get_submodule(name)


def classify(model: nn.Module, features: Tensor) -> Tensor:
    """The outputs for what the classifier receives in evaluation: float [B, D] -> [B, outputs]. In
    training mode with the dropout before it.
    """
    dropped = F.dropout(features, p=getattr(model, "drop_rate", 0.0), training=model.training)
    outputs: Tensor = only_classifier(model)(dropped)
    return outputs


def replace(model: nn.Module, name: str, config: Model) -> None:
    """Initialize the linear layer called `name` near zero, so that the first loss is about log C;
    replace it by cosines if the loss needs them, and put before it what `config` asks for.

    timm's EfficientNets draw their heads from a range that grows as the number of classes falls:
    with two classes the first loss is about 6 instead of 0.7, and the first steps, which have the
    largest gradients of the run, only undo it.

    Raises:
        UserError: if the head is not a linear layer, but `config` needs one.
    """
    head = model.get_submodule(name)
    is_cosine = needs_cosines(config)
    needs = {
        "head: batch_norm": config.head == "batch_norm",
        f"embedding_size: {config.embedding_size}": config.embedding_size is not None,
        f"loss: {config.loss}": is_cosine,
        f"image_pool: {config.image_pool}": config.image_pool is not None,
    }
    if not isinstance(head, nn.Linear):
        if option := next((option for option, needed in needs.items() if needed), None):
            key = option.partition(":")[0]
            raise UserError(
                f"{option} requires a linear head, but that of {type(model).__name__} is a "
                f"{type(head).__name__}. Set {key}: {'linear' if key == 'head' else 'null'}."
            )
        return
    layers: list[nn.Module] = []
    if config.head == "batch_norm":
        layers.append(nn.BatchNorm1d(head.in_features))
    if (size := config.embedding_size) is not None:
        layers += [nn.Linear(head.in_features, size), nn.BatchNorm1d(size)]
        head = nn.Linear(size, head.out_features)
    if is_cosine:
        layers.append(CosineLinear(head.in_features, head.out_features))
    else:
        nn.init.trunc_normal_(head.weight, std=HEAD_STD)
        nn.init.zeros_(head.bias)
        layers.append(head)
    if layers != [model.get_submodule(name)]:
        model.set_submodule(name, layers[0] if len(layers) == 1 else nn.Sequential(*layers))
