"""The training phases `models.<name>.phases` of params.yaml."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from podium.core.section import NonNegative, Positive, PositiveInt, Section, require


def _check_transform(entry: dict[str, Any]) -> dict[str, Any]:
    require(len(entry) == 1, f"must be one transform, `- Name: {{arguments}}`, not {entry}")
    return entry


Transform = Annotated[dict[str, dict[str, Any] | None], AfterValidator(_check_transform)]
Augment = Literal["none", "light", "medium", "heavy"] | list[Transform]

Several = Annotated[int, Field(ge=2)]


class Part(Section):
    """The part of the backbone that is trained with the head. Give one of these."""

    last: Annotated[int, Field(ge=0)] | None = None
    """Number of layer groups at the end of the backbone (1: layer4 of a ResNet, 0: none)."""
    last_tensors: PositiveInt | None = None
    """Number of parameter tensors at the end of the backbone."""
    names: Annotated[list[str], Field(min_length=1)] | None = None
    """Parameters whose names match one of these patterns, such as `layer4.*`."""
    gradual: PositiveInt | None = None
    """Gradual unfreezing, in epochs per step: the first step trains the head only, and each further
    step one more layer group, as a phase with its own optimizer and schedule."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = self.model_dump(exclude_none=True)
        require(len(given) == 1, "give exactly one of last, last_tensors, names and gradual")
        return self


class Constant(Section):
    """A constant learning rate."""

    name: Literal["constant"] = "constant"


class Step(Section):
    """Step decay (torch's StepLR)."""

    RENAMED: ClassVar = {"every": "step_size", "factor": "gamma"}

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

    RENAMED: ClassVar = {"every": "t_0", "longer": "t_mult"}

    name: Literal["cosine_restarts"] = "cosine_restarts"
    t_0: PositiveInt = 10
    """`cosine_restarts`: epochs in the first cycle."""
    t_mult: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    """`cosine_restarts`: cycle-length multiplier."""


class OneCycle(Section):
    """The 1cycle policy (torch's OneCycleLR)."""

    RENAMED: ClassVar = {"rise": "pct_start", "start_divisor": "div_factor"}

    name: Literal["one_cycle"] = "one_cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """`one_cycle`: fraction of the steps in which the learning rate increases."""
    div_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 25.0
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

    RENAMED: ClassVar = {
        "lr_decay": "layer_decay, a factor: 0.5 instead of 2",
        "start": "init_from",
    }

    epochs: PositiveInt
    """Number of epochs."""
    trainable: Literal["head", "all", "norms"] | Part = "all"
    """The parameters to train: the `head` only, `all`, or the normalization layers (`norms`) and
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
    init_from: Literal["last", "best", "probe"] = "last"
    """The phase's initial weights: those of the previous epoch, or of the best epoch so far.
    `probe`, for the first phase: the head is not random, but fitted to the pretrained backbone's
    features (logistic regression; `task: regression`: ridge regression)."""

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        gradual = self.trainable.gradual if isinstance(self.trainable, Part) else None
        if self.warmup_epochs >= min(self.epochs, gradual or self.epochs):
            raise ValueError(
                "warmup_epochs must be less than epochs (and trainable.gradual). Reduce it."
            )
        only_head = self.trainable in ("head", Part(last=0))
        if only_head and (self.backbone_lr is not None or self.layer_decay != 1):
            raise ValueError(
                "backbone_lr and layer_decay have no effect when only the head is trained. Remove "
                "them."
            )
        return self


class AverageCheckpoints(Section):
    """Checkpoint averaging: the mean of the weights of several epochs of the last phase."""

    last: Several | None = None
    """Number of last epochs to average."""
    best: Several | None = None
    """Number of best-scoring epochs to average."""

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if (self.last is None) == (self.best is None):
            raise ValueError("set either last or best.")
        return self

    @property
    def count(self) -> int:
        """The number of epochs to average."""
        return self.last or self.best or 0
