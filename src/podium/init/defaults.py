"""Sensible models and settings for a competition's data and a device."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from podium.core.errors import UserError
from podium.dataset.tables import Tables
from podium.init.layout import Layout

TINY = 64  # pixels of the shorter side, at most
FEW_IMAGES = 500
VERY_FEW_IMAGES = 50
UNEVEN = 10  # the largest class over the smallest
MARGIN = 1.15  # stored images over the models' size


@dataclass(frozen=True)
class Model:
    """What is set apart for each model."""

    name: str
    architecture: str
    image_size: int


@dataclass(frozen=True)
class Data:
    """What the settings follow from."""

    train: int
    test: int
    counts: dict[str, int]  # images of each class; none of a task without one class an image
    groups: int | None  # different ones, if there are groups
    tiny: bool
    grey: bool


def device() -> Literal["cuda", "cpu"]:
    """Where the models will train."""
    import torch  # takes seconds

    return "cuda" if torch.cuda.is_available() else "cpu"


def data_of(layout: Layout, found: Tables) -> Data:
    """What the settings follow from, as prepare will see it."""
    single = layout.task in ("binary", "multiclass", "ordinal")
    counts = found.train["label"].value_counts()
    look = layout.look
    return Data(
        train=len(found.train),
        test=len(found.test),
        counts={name: int(counts.get(name, 0)) for name in found.classes} if single else {},
        groups=found.train["group"].nunique() if "group" in found.train else None,
        tiny=look is not None and min(look.height, look.width) <= TINY,
        grey=look is not None and look.grey,
    )


def models_for(layout: Layout, data: Data, on: str, architecture: str | None) -> list[Model]:
    """The models for this data on this device; `architecture`: of the weights at hand, the only."""
    side = min(layout.look.height, layout.look.width) if layout.look else TINY + 1
    if data.tiny:
        size = 32 if side <= 32 else 64
        names = [("resnet", "resnet18" if on == "cuda" else "resnet10t", size)]
    elif on == "cuda":
        names = [
            ("convnext", "convnext_tiny.fb_in22k_ft_in1k", 224),
            ("efficientnet", "tf_efficientnetv2_s.in21k_ft_in1k", 300),
        ]
    else:
        names = [("mobilenet", "mobilenetv2_100", 160)]
    if architecture is not None:
        names = [(architecture.replace(".", "-"), architecture, names[0][2])]
    return [Model(*name) for name in names]


def check_weights(path: str | None) -> None:
    """Raises: UserError: if there is no such file of weights."""
    if path is not None and not Path(path).expanduser().is_file():
        raise UserError(f"--pretrained: there is no file {path}")


def architecture_of(weights: str) -> str | None:
    """The architecture that a file of weights is named after; None if it is after none."""
    import timm  # takes seconds

    stem = Path(weights).name
    known = [name for name in timm.list_models() if stem.startswith(name)]
    return max(known, key=len, default=None)


def fold_count(data: Data, on: str) -> int:
    """How many folds: no more than the rarest class has images, or than there are groups."""
    count = 5 if on == "cuda" or data.train < FEW_IMAGES else 3
    rarest = min((images for images in data.counts.values() if images), default=count)
    for most in (rarest, data.groups or count):
        if 2 <= most < count:
            count = most
    return count


def batch_size(data: Data, on: str) -> int:
    """Images a step."""
    return 8 if data.train < VERY_FEW_IMAGES else 32 if on == "cuda" else 16


def max_size(layout: Layout, models: list[Model]) -> int | None:
    """To which shorter side images are downsized; None where they are no larger."""
    wanted = round(MARGIN * max(model.image_size for model in models))
    side = min(layout.look.height, layout.look.width) if layout.look else None
    return wanted if side is None or side > wanted else None


def is_uneven(layout: Layout, data: Data) -> bool:
    """Whether rare classes count as much as others, and the task's loss can be told so."""
    if layout.metric not in ("balanced_accuracy", "macro_f1") or not data.counts:
        return False
    counts = data.counts.values()
    if not all(counts):  # what has no images has no weight
        return False
    from podium.models import losses  # takes seconds

    return losses.LOSSES[losses.names(layout.task)[0]].class_weights and max(counts) > UNEVEN * min(
        counts
    )
