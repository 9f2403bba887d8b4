"""The training phases `models.<name>.phases` of params.yaml."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from podium.core.section import NonNegative, Positive, PositiveInt, Section

Transform = dict[str, dict[str, Any] | None]
Augment = Literal["none", "light", "medium", "heavy"] | list[Transform]


def check_transforms(augment: Augment | None) -> Augment | None:
    """Check that each list item is one transform.

    Raises:
        ValueError: if one is not.
    """
    for entry in augment if isinstance(augment, list) else []:
        if len(entry) != 1:
            raise ValueError(f"each item must be one transform, `- Name: {{arguments}}`: {entry}")
    return augment


class Part(Section):
    """The part of the backbone that is trained with the head. Give one of these."""

    last: Annotated[int, Field(ge=0)] | None = None
    """The last layer groups of the backbone, by number (1 is layer4 of a ResNet; 0 is none)."""
    last_tensors: PositiveInt | None = None
    """The last parameter tensors of the backbone, by number."""
    names: Annotated[list[str], Field(min_length=1)] | None = None
    """Parameters whose names match one of these patterns, such as `layer4.*`."""
    gradual: PositiveInt | None = None
    """Gradual unfreezing: train the head for this many epochs, then unfreeze one more layer group
    every so many. Each step is a phase with its own optimizer and schedule."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give exactly one of last, last_tensors, names and gradual")
        return self


class Constant(Section):
    """A constant learning rate."""

    name: Literal["constant"] = "constant"


class Step(Section):
    """Step decay (torch's StepLR)."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "every": "step_size",
        "factor": "gamma",
    }

    name: Literal["step"] = "step"
    step_size: PositiveInt = 1
    """`step`: epochs between decays."""
    gamma: Positive = 0.1
    """`step`: factor per decay."""


class Cosine(Section):
    """Cosine annealing from the peak to 0 over the phase."""

    name: Literal["cosine"] = "cosine"


class CosineRestarts(Section):
    """Cosine annealing with warm restarts (SGDR)."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "every": "t_0",
        "longer": "t_mult",
    }

    name: Literal["cosine_restarts"] = "cosine_restarts"
    t_0: PositiveInt = 10
    """`cosine_restarts`: epochs in the first cycle."""
    t_mult: Annotated[float, Field(ge=1)] = 1.0
    """`cosine_restarts`: factor by which each cycle is longer than the one before."""


class OneCycle(Section):
    """The 1cycle policy (torch's OneCycleLR): up to the peak, then down to almost 0."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "rise": "pct_start",
        "start_divisor": "div_factor",
    }

    name: Literal["one_cycle"] = "one_cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """`one_cycle`: fraction of the steps in which the learning rate increases."""
    div_factor: Annotated[float, Field(ge=1)] = 25.0
    """`one_cycle`: the initial learning rate is the peak divided by this."""


class Plateau(Section):
    """Reduce the learning rate when the score stops improving (torch's ReduceLROnPlateau)."""

    name: Literal["plateau"] = "plateau"
    patience: PositiveInt = 3
    """`plateau`: epochs without a better score (for equal scores, a lower validation loss)."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """`plateau`: factor by which the learning rate is reduced."""


def _by_name(value: Any) -> Any:
    """`cosine` is short for `{name: cosine}`."""
    return {"name": value} if isinstance(value, str) else value


Schedule = Annotated[
    Annotated[
        Constant | Step | Cosine | CosineRestarts | OneCycle | Plateau,
        Field(discriminator="name"),
    ],
    BeforeValidator(_by_name),
]


class Phase(Section):
    """One phase of a model's training, with its own optimizer and learning-rate schedule."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "lr_decay": "layer_decay, a factor: 0.5 instead of 2",
        "start": "init_from",
    }

    epochs: PositiveInt
    """Number of epochs."""
    trainable: Literal["head", "all", "norms"] | Part = "all"
    """The parameters to train: the `head` only, `all`, or the normalisation layers (`norms`) and
    the head; or a part of the backbone (see below) and the head."""
    lr: Positive
    """Peak learning rate of the head."""
    backbone_lr: Positive | None = None
    """Peak learning rate of the backbone's last layer group. null: `lr * layer_decay`."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Layer-wise learning-rate decay: each deeper layer group's learning rate is that of the group
    above it times this factor."""
    schedule: Schedule = Cosine()
    """Learning-rate schedule: `constant`, `step`, `cosine`, `cosine_restarts`, `one_cycle` or
    `plateau`; or a mapping with its arguments (see below)."""
    warmup_epochs: NonNegative = 0.0
    """Epochs of linear warm-up before the schedule. `one_cycle` has a warm-up of its own."""
    optimizer: str = "adamw"
    """Any name in `timm.optim.list_optimizers()`. `sgd` is SGD with Nesterov momentum 0.9,
    `momentum` with plain momentum 0.9."""
    batch_norm: Literal["trained", "all", "none"] = "trained"
    """Which batch-norm layers update their running statistics: those in the `trained` part, `all`
    or `none`. A batch norm in the head always does."""
    augment: Augment | None = None
    """Training augmentation in this phase. null: the model's."""
    init_from: Literal["last", "best"] = "last"
    """The phase's initial weights: those of the previous epoch, or of the best epoch so far."""

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        gradual = self.trainable.gradual if isinstance(self.trainable, Part) else None
        if self.warmup_epochs >= min(self.epochs, gradual or self.epochs):
            raise ValueError("warmup_epochs must be less than epochs (and trainable.gradual)")
        return self

    @model_validator(mode="after")
    def _backbone_is_trained(self) -> Self:
        only_head = self.trainable == "head" or self.trainable == Part(last=0)
        if only_head and (self.backbone_lr is not None or self.layer_decay != 1):
            raise ValueError(
                "backbone_lr and layer_decay have no effect when only the head is trained"
            )
        return self

    _check_augment = field_validator("augment")(check_transforms)
