"""What settings depend on: a competition's data and the device."""

from dataclasses import dataclass
from typing import Literal

from podium.dataset.tables import Tables
from podium.init.layout import Layout

Device = Literal["cuda", "cpu"]

MAX_TINY_SIDE_PIXELS = 64


@dataclass(frozen=True)
class Facts:
    """The properties of a competition's data that the settings depend on."""

    train_images: int
    test_images: int
    counts: dict[str, int]  # images per class; empty unless the task is single-label
    groups: int | None  # number of groups, if there are any
    side: int | None  # pixels, the shorter side of the training images; None if unknown
    is_grayscale: bool
    largest: int | None = None  # pixels, the longest shorter side; None: as `side`
    has_targets: bool = False  # several, with a class or a number each

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


def collect(layout: Layout, tables: Tables) -> Facts:
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
        largest=stats.largest if stats else None,
        has_targets=layout.task == "multitarget",
    )
