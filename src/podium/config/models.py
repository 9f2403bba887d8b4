"""The sections `models.<name>` of params.yaml."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from podium.config.phases import Augment, AverageCheckpoints, Phase
from podium.core.section import Fraction, Name, NonNegative, Positive, PositiveInt, Section, require


class Mix(Section):
    """MixUp and CutMix, by timm."""

    RENAMED: ClassVar = {
        "mixup": "mixup_alpha",
        "cutmix": "cutmix_alpha",
        "probability": "prob",
        "cutmix_share": "switch_prob",
    }

    mixup_alpha: NonNegative = 0.0
    """Alpha of MixUp's beta distribution. 0 disables MixUp."""
    cutmix_alpha: NonNegative = 0.0
    """Alpha of CutMix's beta distribution. 0 disables CutMix."""
    prob: Fraction = 1.0
    """Probability of applying MixUp or CutMix to a batch."""
    switch_prob: Fraction | None = None
    """Probability of CutMix rather than MixUp if both are enabled. null: 0.5."""

    @model_validator(mode="after")
    def _something_is_enabled(self) -> Self:
        require(
            bool(self.mixup_alpha or self.cutmix_alpha),
            "mixup_alpha and cutmix_alpha are both 0. Set one of them, or set mix: null.",
        )
        if self.switch_prob is not None and not (self.mixup_alpha and self.cutmix_alpha):
            raise ValueError(
                "switch_prob requires both mixup_alpha and cutmix_alpha. Set both, or remove "
                "switch_prob."
            )
        return self


class Backbone(Section):
    """A network without its head, and the images that it takes."""

    architecture: str
    """Any name in `timm.list_models()`, or `simple_cnn`."""
    pretrained: bool | str = True
    """true: timm's pretrained weights from the Hugging Face Hub, at the revision in its
    local cache. false: random weights. A path: the weights in that file, which may be a checkpoint
    of another tool: prefixes such as `module.` or `model.` are removed."""
    image_size: Annotated[int, Field(ge=16)]
    """Input height and width in pixels. Some architectures take certain sizes only; the stage
    `check` names the nearest."""
    resize_mode: Literal["crop", "squash", "pad"] = "crop"
    """How an image becomes square, unless an augmentation crops it: `crop` its center, `squash` it
    (ignoring the aspect ratio), or `pad` it."""
    pool: Literal["avg", "max", "avgmax", "catavgmax", "gem"] | None = None
    """Global pooling of a convolutional network. `catavgmax` concatenates average and max pooling,
    as fastai does. `gem` is the generalized mean of the positive features, with an exponent that
    starts at 3 and trains with the head (frozen features keep 3). null: the architecture's own."""


class PseudoLabels(Section):
    """Test images that a model trains on in addition, with the predictions that `make pseudo` froze
    as soft labels. For each fold they come from networks that did not train on it."""

    folder: str
    """The folder that `make pseudo` printed. Its name is a checksum of its contents."""
    min_probability: Fraction = 0.0
    """Use the images whose most likely class has at least this probability (`task: multilabel`:
    whose least certain label has it)."""


class MetadataHead(Section):
    """A small network that maps the columns of `prepare.features` to outputs, which are added to
    those of the image."""

    hidden_size: PositiveInt = 64
    """Number of hidden units."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout probability of the hidden units."""


class Model(Backbone):
    """One model of the ensemble and how it is trained."""

    RENAMED: ClassVar = {
        "fit": "resize_mode",
        "accumulate": "grad_accum_steps",
        "out_of_memory": "on_oom",
        "clip_norm": "grad_clip_norm",
        "ema": "ema_decay",
    }
    NO_KEYS: ClassVar = {"seeds": "each seed is a model. Run `make seeds MODEL=… N=…` instead"}

    head: Literal["linear", "batch_norm"] = "linear"
    """The classifier after dropout. `batch_norm`: BatchNorm1d, then a linear layer."""
    embedding_size: PositiveInt | None = None
    """Outputs of another linear layer with batch norm before the classifier. null: no such
    layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability before the head."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth: drop probability of the last block. Earlier blocks have lower ones."""
    image_pool: Literal["mean", "attention"] | None = None
    """How the features of the images that share a row of the submission are pooled, before the
    head. `attention`: their sum, with weights by gated attention. null: images are trained on one
    by one, and `ensemble.aggregate` combines their predictions."""
    augment: Augment = "none"
    """Training augmentation: a preset, or a list of albumentations transforms with their arguments,
    such as `- HorizontalFlip: {p: 0.5}`."""
    augment_on: Literal["auto", "cpu", "gpu"] = "auto"
    """Where training images are augmented. `cpu`: one by one, by loader workers. `gpu`: in batches,
    on the device that trains, with the same random numbers, so that they differ by rounding only;
    possible with crops to the image size, `Resize`, flips, `Affine`, `Rotate`, `ShiftScaleRotate`,
    `ColorJitter`, `RandomBrightnessContrast` and `CoarseDropout`. `auto`: `gpu` with CUDA if all
    transforms allow it and the decoded images fit into 8 % of the GPU's memory, else `cpu`."""
    random_erasing: Fraction = 0.0
    """Random-erasing probability per image."""
    mix: Mix | None = None
    """MixUp and CutMix. null: neither."""
    phases: Annotated[list[Phase], Field(min_length=1)]
    """Training phases, in order."""
    batch_size: PositiveInt
    """Images per batch; with `image_pool`, ids with all their images."""
    grad_accum_steps: PositiveInt = 1
    """Gradient-accumulation steps: batches per optimizer step. The effective batch size is
    `batch_size * grad_accum_steps`."""
    shards: PositiveInt = 1
    """Data-parallel training: the number of equal parts into which each batch is cut. Several GPUs
    share them; the result does not depend on how many. Batch-norm statistics are per shard."""
    on_oom: Literal["fail", "accumulate"] = "fail"
    """What to do if a batch does not fit in device memory. `fail`: stop and report the largest
    batch size that fits. `accumulate`: split each batch into micro-batches and accumulate their
    gradients; batch-norm statistics are then per micro-batch."""
    grad_clip_norm: Positive | None = None
    """Maximum gradient norm. null disables clipping."""
    weight_decay: NonNegative = 0.05
    """The optimizer's weight decay."""
    decay_norms: bool = False
    """Whether to apply weight decay to biases and normalization weights, too."""
    loss: str | dict[Name, str] | None = None
    """Loss function (see the table above), or that of each target: `{label: focal}`. null: the
    task's default. `binary_cross_entropy` is one vs. rest for more than two classes. `cumulative`
    is ordinal regression by K - 1 binary thresholds. `arcface` makes the head compare angles, with
    a margin in training."""
    target_weights: dict[Name, Positive] | None = None
    """Weights of the targets' losses: `{label: 2}`; 1 for the others. Requires `task:
    multitarget`. null: all 1."""
    focal_gamma: NonNegative | None = None
    """Gamma of `loss: focal`. null: 2."""
    arcface_margin: Annotated[float, Field(ge=0, lt=1.57)] | None = None
    """Margin of `loss: arcface`, in radians. null: 0.5."""
    arcface_scale: Positive | None = None
    """Scale of `loss: arcface`: logits are the scale times the cosine. null: 30."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Label-smoothing factor: the fraction of the target that is spread evenly over all classes."""
    class_weights: Literal["balanced"] | Annotated[list[Positive], Field(min_length=2)] | None = (
        None
    )
    """Class weights in the loss. `balanced`: images / (classes * images of the class), as in
    scikit-learn. A list: one weight per class, in the report's order. null: none."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """`shuffled`: each image once per epoch. `balanced`: class-balanced sampling with
    replacement."""
    metadata: MetadataHead | None = None
    """Also train on the columns of `prepare.features`. null: on the images only."""
    pseudo_labels: PseudoLabels | None = None
    """Test images to train on in addition. null: none."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average (EMA) of the weights. The EMA weights are then
    evaluated and saved. null: no EMA."""
    average_checkpoints: AverageCheckpoints | None = None
    """Save the average of the weights after several epochs of the last phase (with `ema_decay`, of
    the EMA weights) instead of those of the best epoch. null: no averaging."""
    patience: PositiveInt | None = None
    """Early stopping: end a phase after this many epochs without a better score than the best of
    all phases (for equal scores, a lower validation loss). null: never."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Seed of this model's initial weights, data order and augmentation: a model that differs only
    in it is another member of the ensemble, and `make seeds` adds several. null: the `seed` at the
    top, which the folds depend on, too."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Mixed precision of training and prediction: weights, loss and scores are fp32. `auto`: bf16
    or fp16 if the device supports it, else fp32, in which CUDA's convolutions use TF32."""
    compile: bool = False
    """Train with `torch.compile`: faster steps after compiling, again in each phase that trains
    other layers."""

    def seed_or(self, default: int) -> int:
        """The model's own seed, or the default."""
        return default if self.seed is None else self.seed

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        if self.mix and self.batch_size % 2:
            raise ValueError(
                f"mix requires an even batch_size, not {self.batch_size}. Change it, or set mix: "
                "null."
            )
        self._shards_are_possible()
        if self.head == "batch_norm" and self.batch_size < 2:
            raise ValueError(
                "head: batch_norm requires a batch_size of at least 2. Raise it, or set head: "
                "linear."
            )
        averaged, last = self.average_checkpoints, self.phases[-1]
        if averaged is not None and averaged.count > last.epochs:
            raise ValueError(
                f"average_checkpoints: the last phase has only {last.epochs} epochs, not "
                f"{averaged.count}. Average fewer, or train longer."
            )
        if self.embedding_size is not None and self.batch_size < 2:
            raise ValueError(
                "embedding_size requires a batch_size of at least 2, for its batch norm. Raise it, "
                "or set embedding_size: null."
            )
        if any(phase.init_from == "probe" for phase in self.phases[1:]):
            raise ValueError("init_from: probe is for the first phase. Set last or best.")
        if self.phases[0].init_from == "probe" and self.head != "linear":
            raise ValueError(
                "phases[0].init_from: probe requires head: linear. Change one of them."
            )
        if self.phases[0].init_from == "probe" and self.embedding_size is not None:
            raise ValueError(
                "phases[0].init_from: probe requires embedding_size: null. Change one of them."
            )
        if self.phases[0].init_from == "best":
            raise ValueError(
                "phases[0] cannot use init_from: best (no earlier epoch). Set init_from: last."
            )
        return self

    def _shards_are_possible(self) -> None:
        if self.batch_size % self.shards:
            raise ValueError(
                f"shards: {self.shards} must divide batch_size: {self.batch_size} evenly. Change "
                "one of them."
            )
        if self.mix and self.batch_size // self.shards % 2:
            raise ValueError(
                f"mix requires an even number of images per shard, not "
                f"{self.batch_size // self.shards}. Change batch_size or shards."
            )
        if self.shards > 1 and self.on_oom != "fail":
            raise ValueError("shards requires on_oom: fail. Change one of them.")
