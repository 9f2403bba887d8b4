"""Default models and settings for a competition's data and a device."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from podium.init import yaml_edit
from podium.init.facts import Device, Facts
from podium.init.layout import Layout
from podium.init.measured import Kind, Measured
from podium.init.weights import Weights

MIN_IMAGES_FOR_3_FOLDS = 500
MIN_IMAGES_FOR_FULL_BATCHES = 50
MAX_PROBE_IMAGES = 20_000
MAX_CLASS_RATIO = 10  # largest class to smallest; above it, the loss is weighted
STORED_SIZE_FACTOR = 1.15  # stored images to image_size: room for crops

# Training and validation must see the same aspect ratio. RandomResizedCrop as the first transform
# crops the original image, like resize_mode: crop. With squash or pad, another transform must come
# first, so that the image is squashed or padded before it is cropped.
RESIZE_MODE = "crop"
AUGMENT_CROP = """
- RandomResizedCrop: {{scale: [{scale}, 1.0]}}
- HorizontalFlip: {{}}
"""
AUGMENT_WHOLE = """
- HorizontalFlip: {{}}
- RandomResizedCrop: {{scale: [{scale}, 1.0]}}
"""
AUGMENT_CUDA = "medium"
MIN_AREA, MIN_AREA_TINY = 0.5, 0.7  # of a random crop

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
# With few images per class, training a random head leads to far less than a linear probe.
FEW_IMAGES_PER_CLASS = 20
MANY_CLASSES = 10
PHASES_FROM_PROBE = """
- {{epochs: {epochs}, init_from: probe, lr: 1e-3, backbone_lr: 5e-4, warmup_epochs: 1}}
"""
PHASES_HEAD_FIRST = """
- {{epochs: 1, trainable: head, lr: 3e-3}}
- {{epochs: {epochs}, trainable: all, lr: 5e-4, backbone_lr: 1e-4, warmup_epochs: 1}}
"""
EPOCHS_FROM_PROBE = {"cuda": 16, "cpu": 8}


@dataclass(frozen=True)
class Model:
    """The settings in which the models of the ensemble differ."""

    name: str
    architecture: str
    image_size: int


def models_for(
    facts: Facts,
    device: Device,
    weights: Weights | None = None,
    measured: Measured | None = None,
) -> list[Model]:
    """The models to train; with `weights`, which fit one architecture, only one."""
    models = _models(facts, device, weights)
    if measured is not None and measured.image_size is not None:
        models = [replace(model, image_size=measured.image_size) for model in models]
    return models


def _models(facts: Facts, device: Device, weights: Weights | None) -> list[Model]:
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
    if weights is None:
        return models
    if weights.architecture is None:
        return models[:1]
    name = weights.architecture.replace(".", "-")
    return [Model(name, weights.architecture, models[0].image_size)]


def resize_mode(facts: Facts, measured: Measured | None) -> str:
    """How the models' images become square."""
    if facts.is_characters:
        return RESIZE_MODE_CHARACTERS
    return RESIZE_MODE if measured is None else measured.resize_mode


def augment(facts: Facts, device: Device, mode: str) -> str:
    """The models' augmentation, as YAML."""
    if facts.is_characters:
        return AUGMENT_CHARACTERS
    crop = AUGMENT_CROP if mode == RESIZE_MODE else AUGMENT_WHOLE
    if device == "cuda" and crop is AUGMENT_CROP and not facts.is_tiny:
        return AUGMENT_CUDA
    return crop.format(scale=MIN_AREA_TINY if facts.is_tiny else MIN_AREA)


def augment_after(change: str, transforms: Any) -> Any:
    """A model's augmentation after its resize mode was changed: another one if `make init` wrote
    it, else the same.
    """
    for area in (MIN_AREA, MIN_AREA_TINY):
        crop, whole = (yaml_edit.parse(t.format(scale=area)) for t in (AUGMENT_CROP, AUGMENT_WHOLE))
        if transforms in (crop, whole):
            return crop if change == RESIZE_MODE else whole
    return transforms


def has_few_images(facts: Facts) -> bool:
    """Whether there are many classes with few images each."""
    present = [images for images in facts.counts.values() if images]
    is_rare = len(present) * FEW_IMAGES_PER_CLASS > facts.train_images
    return len(present) >= MANY_CLASSES and is_rare


def starts_from_probe(facts: Facts, *, has_limit: bool) -> bool:
    """Whether the models' heads are fitted to the pretrained features instead of being random,
    which also saves the epochs in which only the head is trained.
    """
    suits = has_few_images(facts) or (has_limit and facts.train_images <= MAX_PROBE_IMAGES)
    return suits and not facts.has_targets


def phases(facts: Facts, device: Device, epochs: int | None = None) -> str:
    """The models' training phases, as YAML. `epochs`: if there is a limit on the time."""
    if starts_from_probe(facts, has_limit=epochs is not None):
        return PHASES_FROM_PROBE.format(epochs=epochs or EPOCHS_FROM_PROBE[device])
    return PHASES[device] if epochs is None else PHASES_HEAD_FIRST.format(epochs=epochs)


def model_settings(
    layout: Layout,
    facts: Facts,
    device: Device,
    measured: Measured | None = None,
    epochs: int | None = None,
) -> dict[str, Any]:
    """The settings that all models share, as values or as YAML. `epochs`: if there is a limit on
    the time.
    """
    mode = resize_mode(facts, measured)
    settings: dict[str, Any] = {
        "resize_mode": mode,
        "augment": augment(facts, device, mode),
        "phases": phases(facts, device, epochs),
        "batch_size": batch_size(facts, device),
        "weight_decay": 0.05,
    }
    from_probe = starts_from_probe(facts, has_limit=epochs is not None)
    if layout.task == "multiclass" and not from_probe:
        settings["label_smoothing"] = 0.1
    settings["dropout"] = 0.2
    if layout.has_metadata:
        settings["metadata"] = "{}"
    if needs_class_weights(layout, facts):
        settings["class_weights"] = "balanced"
    return {**settings, "patience": None, "precision": "auto"}


def ensemble(members: list[str]) -> dict[str, Any]:
    """The section `ensemble`."""
    return {"members": members, "method": "weighted" if len(members) > 1 else "mean"}


def views(facts: Facts) -> list[str]:
    """The views for test-time augmentation."""
    return ["identity"] if facts.is_characters else ["identity", "hflip"]


def fold_count(facts: Facts, device: Device, *, trains_models: bool = True) -> int:
    """The number of folds, fewer where training models takes long: at most one per group, and of
    two classes one per image of the rarer, since metrics such as AUC are undefined for a fold with
    one class. A rare class among several is no reason for fewer folds.
    """
    is_quick = device == "cuda" or facts.train_images < MIN_IMAGES_FOR_3_FOLDS
    count = 5 if is_quick or not trains_models else 3
    present = [images for images in facts.counts.values() if images]
    rarest = min(present) if len(present) == 2 else count
    for most in (rarest, facts.groups or count):
        if 2 <= most < count:
            count = most
    return count


def batch_size(facts: Facts, device: Device) -> int:
    """Images per step."""
    if facts.train_images < MIN_IMAGES_FOR_FULL_BATCHES:
        return 8
    return 32 if device == "cuda" else 16


def features(facts: Facts, model: Model, measured: Measured | None) -> tuple[Kind, ...]:
    """The features for a probe; none if there are so many images that its head would take long."""
    if facts.train_images > MAX_PROBE_IMAGES:
        return ()
    if measured is not None:
        return measured.features
    return (Kind(resize_mode(facts, None), model.image_size),)


def probe_head(layout: Layout) -> str | dict[str, str]:
    """The head of a probe, or that of each target if some are numbers."""
    tasks = layout.prepare["label_column"] if layout.task == "multitarget" else {"": layout.task}
    heads = {name: "ridge" if t == "regression" else "logistic" for name, t in tasks.items()}
    return heads if len({*heads.values()}) > 1 else next(iter(heads.values()))


def max_size(facts: Facts, sizes: Iterable[int]) -> int | None:
    """prepare.max_size for inputs of these sizes; None if the images are not larger."""
    size = round(STORED_SIZE_FACTOR * max(sizes))
    side = facts.largest or facts.side
    return size if side is None or side > size else None


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
