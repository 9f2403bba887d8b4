"""What params.yaml may say of a phase of training."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from podium.core.section import Positive, PositiveInt, Section

Transform = dict[str, dict[str, Any] | None]
Augment = Literal["none", "light", "medium", "heavy"] | list[Transform]


def one_transform_an_entry(augment: Augment | None) -> Augment | None:
    """Raises: ValueError."""
    for entry in augment if isinstance(augment, list) else []:
        if len(entry) != 1:
            raise ValueError(f"one transform an entry, as `- Name: {{arguments}}`, not {entry}")
    return augment


class Part(Section):
    """What trains beside the head: one of these."""

    last: Annotated[int, Field(ge=0)] | None = None
    """The last so many layer groups of the backbone (of a ResNet, 1 is layer4)."""
    last_tensors: PositiveInt | None = None
    """The last so many parameter tensors of the backbone."""
    names: Annotated[list[str], Field(min_length=1)] | None = None
    """Parameters whose names match one of these patterns, as `layer4.*`."""
    gradual: PositiveInt | None = None
    """The head first, and one more layer group after every so many epochs: each a phase, with its
    own run of the schedule."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give one of last, last_tensors, names and gradual")
        return self


class Constant(Section):
    """The same rate all along."""

    name: Literal["constant"] = "constant"


class Step(Section):
    """A lower rate after every few epochs."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "every": "step_size",
        "factor": "gamma",
    }

    name: Literal["step"] = "step"
    step_size: PositiveInt = 1
    """Epochs between steps."""
    gamma: Positive = 0.1
    """Factor per step."""


class Cosine(Section):
    """Half a cosine, from the peak down to 0 at the phase's end."""

    name: Literal["cosine"] = "cosine"


class CosineRestarts(Section):
    """Half cosines one after the other (SGDR)."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "every": "t_0",
        "longer": "t_mult",
    }

    name: Literal["cosine_restarts"] = "cosine_restarts"
    t_0: PositiveInt = 10
    """Epochs in the first cycle."""
    t_mult: Annotated[float, Field(ge=1)] = 1.0
    """Cycle-length multiplier: each cycle is this many times as long as the one before."""


class OneCycle(Section):
    """From a low rate up to the peak and down to next to nothing (super-convergence)."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "rise": "pct_start",
        "start_divisor": "div_factor",
    }

    name: Literal["one_cycle"] = "one_cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of the steps in which the rate goes up."""
    div_factor: Annotated[float, Field(ge=1)] = 25.0
    """The first rate is the peak divided by this."""


class Plateau(Section):
    """A lower rate whenever the score has stopped getting better."""

    name: Literal["plateau"] = "plateau"
    patience: PositiveInt = 3
    """Epochs without a better score (at the same score, a lower validation loss)."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the rate is multiplied by."""


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
    """One part of a model's training."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "lr_decay": "layer_decay, a factor: 0.5 where lr_decay was 2",
        "start": "init_from",
    }

    epochs: PositiveInt
    trainable: Literal["head", "all", "norms"] | Part = "all"
    """`norms`: the normalisation layers and the head. The head always trains."""
    lr: Positive
    """Peak learning rate of the head."""
    backbone_lr: Positive | None = None
    """Peak learning rate of the backbone's last layer group; null: `lr * layer_decay`."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each deeper layer group's rate is that of the one above it divided by this."""
    schedule: Schedule = Cosine()
    """Of all rates: `constant`, `step`, `cosine`, `cosine_restarts`, `one_cycle` or `plateau`."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Linear warm-up before the schedule (`one_cycle` has one of its own)."""
    optimizer: str = "adamw"
    """Any name of `timm.optim.list_optimizers()`; `sgd` has Nesterov momentum 0.9, `momentum`
    plain momentum 0.9."""
    batch_norm: Literal["trained", "all", "none"] = "trained"
    """Which batch norms update their running statistics: those of the parts that train, all, none.
    A head's own always does."""
    augment: Augment | None = None
    """null: the model's."""
    init_from: Literal["last", "best"] = "last"
    """The weights to begin with: those at the last phase's end, or the best so far."""

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        gradual = self.trainable.gradual if isinstance(self.trainable, Part) else None
        if self.warmup_epochs >= min(self.epochs, gradual or self.epochs):
            raise ValueError("warmup_epochs must be fewer than epochs (and than those of gradual)")
        return self

    @model_validator(mode="after")
    def _rates_have_something_to_train(self) -> Self:
        only_head = self.trainable == "head" or self.trainable == Part(last=0)
        if only_head and (self.backbone_lr is not None or self.layer_decay != 1):
            raise ValueError("backbone_lr and layer_decay say nothing where only the head trains")
        return self

    _one_transform_an_entry = field_validator("augment")(one_transform_an_entry)
