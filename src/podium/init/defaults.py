"""Default models and settings for a competition's data and a device."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from podium.core.errors import UserError
from podium.dataset.tables import Tables
from podium.init.layout import Layout

Device = Literal["cuda", "cpu"]

MAX_TINY_SIDE_PIXELS = 64
MIN_IMAGES_FOR_3_FOLDS = 500
MIN_IMAGES_FOR_FULL_BATCHES = 50
MAX_CLASS_RATIO = 10  # largest class to smallest; above it, the loss is weighted
STORED_SIZE_FACTOR = 1.15  # stored images to image_size: room for crops

# Training and validation must see the same aspect ratio. RandomResizedCrop as the first transform
# crops the original image, like resize_mode: crop. With squash, another transform must come first,
# so that the image is squashed before it is cropped.
RESIZE_MODE = "crop"
AUGMENT_CPU = """
- RandomResizedCrop: {scale: [0.5, 1.0]}
- HorizontalFlip: {}
"""
AUGMENT_CUDA = "medium"
AUGMENT_TINY = """
- RandomResizedCrop: {scale: [0.7, 1.0]}
- HorizontalFlip: {}
"""

# Digits and letters must not be flipped or cropped.
RESIZE_MODE_CHARACTERS = "squash"
AUGMENT_CHARACTERS = """
- Affine: {rotate: [-10, 10], scale: [0.9, 1.1], translate_percent: [-0.08, 0.08], p: 0.9}
"""

PHASES = {
    "cuda": """
- {epochs: 2, trainable: head, lr: 3e-3}
- {epochs: 10, trainable: all, lr: 5e-4, backbone_lr: 1e-4, warmup_epochs: 1}
""",
    "cpu": """
- {epochs: 4, trainable: head, lr: 3e-3}
- {epochs: 4, trainable: all, lr: 5e-4, backbone_lr: 1e-4, warmup_epochs: 1}
""",
}


@dataclass(frozen=True)
class Model:
    """The settings in which the models of the ensemble differ."""

    name: str
    architecture: str
    image_size: int


@dataclass(frozen=True)
class Facts:
    """The properties of a competition's data that the settings depend on."""

    train_images: int
    test_images: int
    counts: dict[str, int]  # images per class; empty unless the task is single-label
    groups: int | None  # number of groups, if there are any
    side: int | None  # pixels, the shorter side of the training images; None if unknown
    is_grayscale: bool

    @property
    def is_tiny(self) -> bool:
        """Whether the images are as small as those of MNIST or CIFAR."""
        return self.side is not None and self.side <= MAX_TINY_SIDE_PIXELS

    @property
    def is_characters(self) -> bool:
        """Whether the images look like those of digits or letters."""
        return self.is_tiny and self.is_grayscale


def detect_device() -> Device:
    """The device that the models will be trained on."""
    import torch  # takes seconds

    return "cuda" if torch.cuda.is_available() else "cpu"


def facts_of(layout: Layout, tables: Tables) -> Facts:
    """Collect the facts from tables that were read as the stage prepare reads them."""
    is_single = layout.task in ("binary", "multiclass", "ordinal")
    counts = tables.train["label"].value_counts()
    stats = layout.image_stats
    return Facts(
        train_images=len(tables.train),
        test_images=len(tables.test),
        counts={name: int(counts.get(name, 0)) for name in tables.classes} if is_single else {},
        groups=tables.train["group"].nunique() if "group" in tables.train else None,
        side=min(stats.height, stats.width) if stats else None,
        is_grayscale=stats is not None and stats.grayscale,
    )


def models_for(facts: Facts, device: Device, architecture: str | None = None) -> list[Model]:
    """The models to train; only one if an `architecture` is given."""
    if facts.is_tiny:
        size = 32 if facts.side is not None and facts.side <= 32 else 64
        models = [Model("resnet", "resnet18" if device == "cuda" else "resnet10t", size)]
    elif device == "cuda":
        models = [
            Model("convnext", "convnext_tiny.fb_in22k_ft_in1k", 224),
            Model("efficientnet", "tf_efficientnetv2_s.in21k_ft_in1k", 300),
        ]
    else:
        models = [Model("mobilenet", "mobilenetv2_100", 160)]
    if architecture is not None:
        name = architecture.replace(".", "-")
        models = [Model(name, architecture, models[0].image_size)]
    return models


def model_settings(layout: Layout, facts: Facts, device: Device) -> dict[str, Any]:
    """The settings that all models share, as values or as YAML."""
    augment = AUGMENT_CUDA if device == "cuda" else AUGMENT_CPU
    if facts.is_tiny:
        augment = AUGMENT_CHARACTERS if facts.is_grayscale else AUGMENT_TINY
    settings: dict[str, Any] = {
        "resize_mode": RESIZE_MODE_CHARACTERS if facts.is_characters else RESIZE_MODE,
        "augment": augment,
        "phases": PHASES[device],
        "batch_size": batch_size(facts, device),
        "weight_decay": 0.05,
    }
    if layout.task == "multiclass":
        settings["label_smoothing"] = 0.1
    settings["dropout"] = 0.2
    if needs_class_weights(layout, facts):
        settings["class_weights"] = "balanced"
    return {**settings, "patience": None, "precision": "auto"}


def views(facts: Facts) -> list[str]:
    """The views for test-time augmentation."""
    return ["identity"] if facts.is_characters else ["identity", "hflip"]


def fold_count(facts: Facts, device: Device) -> int:
    """The number of folds: at most one per image of the rarest class, and one per group."""
    count = 5 if device == "cuda" or facts.train_images < MIN_IMAGES_FOR_3_FOLDS else 3
    rarest = min((images for images in facts.counts.values() if images), default=count)
    for most in (rarest, facts.groups or count):
        if 2 <= most < count:
            count = most
    return count


def batch_size(facts: Facts, device: Device) -> int:
    """Images per step."""
    if facts.train_images < MIN_IMAGES_FOR_FULL_BATCHES:
        return 8
    return 32 if device == "cuda" else 16


def max_size(facts: Facts, models: list[Model]) -> int | None:
    """prepare.max_size; None if the images are not larger."""
    size = round(STORED_SIZE_FACTOR * max(model.image_size for model in models))
    return size if facts.side is None or facts.side > size else None


def needs_class_weights(layout: Layout, facts: Facts) -> bool:
    """Whether the metric counts all classes equally, their sizes differ much, and the task's loss
    supports weights.
    """
    if layout.metric not in ("balanced_accuracy", "macro_f1") or not facts.counts:
        return False
    counts = facts.counts.values()
    if not all(counts):  # the weight of an empty class is undefined
        return False
    from podium.models import losses  # takes seconds

    loss = losses.LOSSES[losses.names(layout.task)[0]]
    return loss.class_weights and max(counts) > MAX_CLASS_RATIO * min(counts)


def check_weights(path: str | None) -> None:
    """Check that a file of pretrained weights exists.

    Raises:
        UserError: if not.
    """
    if path is not None and not Path(path).expanduser().is_file():
        raise UserError(f"--pretrained: file {path} not found. Fix the path.")


def architecture_of(weights: str) -> str | None:
    """The timm architecture that a file of weights is named after, if any."""
    import timm  # takes seconds

    name = Path(weights).name
    architectures = [a for a in timm.list_models() if name.startswith(a)]
    return max(architectures, key=len, default=None)
