"""What `make init` measured: which features of a backbone suit the images."""

from typing import NamedTuple


class Kind(NamedTuple):
    """How an image becomes the input of a backbone."""

    resize_mode: str
    image_size: int

    @property
    def name(self) -> str:
        """Its name in the section `embeddings`."""
        return f"{self.resize_mode}-{self.image_size}"


class Row(NamedTuple):
    """Features of one or several kinds, and how well a linear probe predicts from them."""

    kinds: tuple[Kind, ...]
    loss: float  # in cross-validation: log loss, or squared error of standardized numbers
    minutes: float  # for the features of all training and test images


class Measured(NamedTuple):
    """The result."""

    rows: list[Row]
    images: int  # in the sample
    resize_mode: str  # the best of the first size
    image_size: int | None  # of the models, if the images are tiny: enlarged if that is a gain
    features: tuple[Kind, ...]  # that are worth their time, the most helpful first
