"""Several targets: their losses as one, on outputs next to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from podium.config.models import Model
from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.models import losses
from podium.models.loss import Loss
from podium.scoring.task import Target, Task

if TYPE_CHECKING:
    from podium.models.targets import TargetCodec

TINY = 1e-6


class Part:
    """One target: its columns in the outputs and in what `TargetLosses.encode` returns."""

    def __init__(self, target: Target, codec: "TargetCodec", weight: float, start: Sequence[int]):
        """`start`: the first columns of the outputs, and of the encoded targets."""
        self.target, self.codec, self.weight = target, codec, weight
        is_number = target.task.name == "regression"
        self.dtype = torch.float32 if is_number else torch.int64
        self.shape = (-1, 1) if is_number else (-1,)
        # What the first class, or 0, is encoded as: instead of a missing label, with weight 0.
        self.default = codec.encode(torch.zeros(1, dtype=self.dtype).view(self.shape))
        self.outputs = slice(start[0], start[0] + codec.outputs)
        self.encoded = slice(start[1], start[1] + self.default.shape[1])

    @property
    def end(self) -> tuple[int, int]:
        """The columns after its own; the last encoded one is the weight of the label."""
        return self.outputs.stop, self.encoded.stop + 1


@dataclass(frozen=True)
class TargetLosses(Loss):
    """The weighted mean of the targets' losses. An image without a label has the loss 0."""

    parts: Sequence[Part]

    def outputs(self, task: Task) -> int:
        return self.parts[-1].outputs.stop

    def encode(self, targets: Tensor, task: Task, smoothing: float) -> Tensor:
        """Targets [B, T] -> [B, E]: for each target what its own loss takes, then 1 with a label, 0
        without: a weight, which MixUp mixes like the rest.
        """
        columns = list[Tensor]()
        for part in self.parts:
            column = targets[:, part.target.position]
            has_label = (~column.isnan()).float()[:, None]
            own = column.nan_to_num(0.0).to(part.dtype).view(part.shape)
            columns += [part.codec.encode(own) * has_label, has_label]
        return torch.cat(columns, dim=1)

    def to_logits(self, outputs: Tensor, task: Task) -> Tensor:
        logits = [part.codec.to_logits(outputs[:, part.outputs]) for part in self.parts]
        return torch.cat(logits, dim=1)

    def loss(self, outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
        total = outputs.new_zeros(())
        for part in self.parts:
            own, weights = targets[:, part.encoded], targets[:, part.encoded.stop]
            unmixed = own / weights.clamp(min=TINY)[:, None]
            default = part.default.to(own.device, own.dtype)
            encoded = torch.where(weights[:, None] > 0, unmixed, default)
            total = total + part.weight * (_per_image(part, outputs, encoded) * weights).mean()
        return total / sum(part.weight for part in self.parts)


def _per_image(part: Part, outputs: Tensor, encoded: Tensor) -> Tensor:
    """The loss of each image as a batch of its own: [B]."""
    loss, task = part.codec.loss, part.target.task

    def of_one(output: Tensor, target: Tensor) -> Tensor:
        return loss.loss(output[None], target[None], task)

    per_image: Tensor = torch.vmap(of_one)(outputs[:, part.outputs], encoded)
    return per_image


def configs(config: Model, tasks: Mapping[str, TaskName]) -> dict[str, Model]:
    """The settings of each target's loss.

    Raises:
        UserError: if `config` names unknown targets, or losses that do not suit a target.
    """
    by_target = config.loss if isinstance(config.loss, dict) else dict.fromkeys(tasks, config.loss)
    for key, names in (("loss", by_target), ("target_weights", config.target_weights or {})):
        if unknown := [name for name in names if name not in tasks]:
            raise UserError(
                f"{key}: {unknown[0]} is not a target. Choose from {examples([*tasks], most=12)}."
            )
    result = {}
    for name, task in tasks.items():
        loss = by_target.get(name) or _default(task)
        usable = [n for n in losses.names(task) if _is_separable(losses.LOSSES[n])]
        if loss not in usable:
            raise UserError(
                f"loss: {loss} does not support the target {name}, task: {task}. Choose from "
                f"{', '.join(usable)}, or write one for each target."
            )
        unused = {
            key: None for key in losses.arguments() if key not in losses.LOSSES[loss].arguments
        }
        result[name] = config.model_copy(update={**unused, "loss": loss})
    for key in losses.arguments():
        if getattr(config, key) is not None and all(
            getattr(c, key) is None for c in result.values()
        ):
            raise UserError(f"{key}: not used by the loss of any target. Remove {key}.")
    return result


def _default(task: TaskName) -> str:
    return next(name for name in losses.names(task) if _is_separable(losses.LOSSES[name]))


def _is_separable(loss: Loss) -> bool:
    """Whether a loss can be one of several: its logits are averaged like the others', and its
    outputs come from the same linear layer.
    """
    return loss.averaging == "logits" and not loss.cosine_head
