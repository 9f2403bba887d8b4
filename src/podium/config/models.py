"""What params.yaml may say of a model and its training."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from podium.config.phases import Augment, Phase, one_transform_an_entry
from podium.core.section import Fraction, Positive, PositiveInt, Section


class Mix(Section):
    """Blending the images of a batch with each other, and their targets likewise."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "mixup": "mixup_alpha",
        "cutmix": "cutmix_alpha",
        "probability": "prob",
        "cutmix_share": "switch_prob",
    }

    mixup_alpha: Annotated[float, Field(ge=0)] = 0.0
    """Alpha of MixUp's Beta distribution; 0: no MixUp."""
    cutmix_alpha: Annotated[float, Field(ge=0)] = 0.0
    """Alpha of CutMix's; 0: no CutMix."""
    prob: Fraction = 1.0
    """Of a batch being mixed."""
    switch_prob: Fraction | None = None
    """Of the mixed batches that get CutMix, if both are on; null: half."""

    @model_validator(mode="after")
    def _something_is_on(self) -> Self:
        if not (self.mixup_alpha or self.cutmix_alpha):
            raise ValueError("mixup_alpha and cutmix_alpha are both 0: remove mix")
        if self.switch_prob is not None and not (self.mixup_alpha and self.cutmix_alpha):
            raise ValueError("switch_prob requires mixup_alpha and cutmix_alpha")
        return self


class Model(Section):
    """One model of the ensemble: what it is and how it is trained."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "fit": "resize_mode",
        "accumulate": "grad_accum_steps",
        "out_of_memory": "on_oom",
        "clip_norm": "grad_clip_norm",
        "ema": "ema_decay",
    }

    architecture: str
    """Any name of `timm.list_models()`, or `simple_cnn`."""
    pretrained: bool | str = True
    """true: timm's weights from the hub; false: none; a path: that weights file."""
    image_size: Annotated[int, Field(ge=16)]
    """Pixels a side."""
    resize_mode: Literal["crop", "squash", "pad"] = "crop"
    """How an image that augmentation does not crop becomes square."""
    pool: Literal["avg", "max", "avgmax", "catavgmax"] | None = None
    """How the feature maps of a convolutional network become the head's input: their means, their
    maxima, the mean of both, or both side by side (fastai's default); null: the architecture's
    own."""
    head: Literal["linear", "batch_norm"] = "linear"
    """After the dropout: a linear layer, or a BatchNorm1d and a linear layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the head."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth: the chance of the last block to be skipped; earlier ones less."""
    augment: Augment = "none"
    """For training only: `none`, `light`, `medium`, `heavy`, or albumentations transforms with
    their arguments."""
    random_erasing: Fraction = 0.0
    """The chance of an image to have a rectangle blanked."""
    mix: Mix | None = None
    """MixUp and CutMix; null: neither."""
    phases: Annotated[list[Phase], Field(min_length=1)]
    """One after the other."""
    batch_size: PositiveInt
    """Images a step."""
    grad_accum_steps: PositiveInt = 1
    """Steps whose gradients are averaged before the weights change."""
    on_oom: Literal["fail", "accumulate"] = "fail"
    """Where a batch does not fit the device: fail, naming the size that does; or take each batch in
    as many pieces as it needs, their gradients added up. Batch norm then sees the pieces."""
    grad_clip_norm: Positive | None = None
    """The gradients' norm is cut to this; null: never."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """As the optimizer understands it."""
    decay_norms: bool = False
    """Whether biases and the scales of normalisation layers decay too."""
    loss: str | None = None
    """null: the task's. `binary_cross_entropy`: of one logit for two classes, of one a class for
    more; `cumulative`: of one logit a step between two grades."""
    focal_gamma: Annotated[float, Field(ge=0)] | None = None
    """Of the focal loss; null: 2."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of the target spread over all classes."""
    class_weights: Literal["balanced"] | Annotated[list[Positive], Field(min_length=2)] | None = (
        None
    )
    """In the loss: `balanced` (images / (classes x images of the class)), or one number a class in
    the order of the classes in the report."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """`balanced`: with replacement, each class as often as another."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the weights' moving average, which then is what is scored and kept; null: none."""
    patience: PositiveInt | None = None
    """End a phase after so many epochs without a score above the best of all phases (at the same
    score, a lower validation loss); null: never."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """auto: bf16 or fp16 where the device has it, else fp32."""
    compile: bool = False
    """Train the model compiled by torch.compile: faster steps, after a wait in each phase."""

    _one_transform_an_entry = field_validator("augment")(one_transform_an_entry)

    @model_validator(mode="after")
    def _batches_are_large_enough(self) -> Self:
        if self.mix and self.batch_size % 2:
            raise ValueError(
                f"mix pairs the images of a batch: batch_size {self.batch_size} is odd"
            )
        if self.head == "batch_norm" and self.batch_size < 2:
            raise ValueError("head: batch_norm needs a batch_size of 2 or more")
        return self

    @model_validator(mode="after")
    def _the_first_phase_has_no_best(self) -> Self:
        if self.phases[0].init_from == "best":
            raise ValueError("phases[0] is the first: there is no best epoch to start from")
        return self
