"""Check models against timm and albumentations: build all that their settings describe.

The imports take seconds, so they are inside the function that needs them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podium.config.embeddings import Embedding
from podium.config.models import Model
from podium.core.errors import UserError
from podium.core.validation import Problem

MIN_TEST_IMAGE_PIXELS = 2048  # larger than any crop


def problems(
    models: dict[str, Model], *, channels: int = 3, neighbors: bool = False
) -> list[Problem]:
    """The names and arguments that the libraries reject, for images with `channels`. Nothing is
    downloaded.

    `neighbors`: whether predictions use the features before the classifier.
    """
    result: list[Problem] = []
    for name, model in models.items():
        _check_network(model, f"models.{name}", result, channels, neighbors=neighbors)
        _check_augmentations(model, f"models.{name}", result, channels)
    return result


def embedding_problems(embeddings: dict[str, Embedding], *, channels: int = 3) -> list[Problem]:
    """The architectures and sizes that timm rejects, for images with `channels`. Nothing is
    downloaded.
    """
    result: list[Problem] = []
    for name, embedding in embeddings.items():
        _check_network(embedding.network(), f"embeddings.{name}", result, channels)
    return result


def _check_network(
    model: Model, at: str, result: list[Problem], channels: int, *, neighbors: bool = False
) -> None:
    """Build the network, and the optimizer of each phase; read the user's pretrained weights."""
    import torch

    from podium.models import heads, layers, pretrained
    from podium.params import trial
    from podium.training import optimizers, unfreezing

    with collect(result, at), torch.device("meta"):  # a device without memory
        net, parts = trial.build(model, channels), []
        if neighbors:
            heads.classifier(net)
        for index, phase in enumerate(model.phases):
            with collect(result, f"{at}.phases[{index}]"):
                if phase.init_from == "probe":
                    layers.linear_head(net)
                for part in unfreezing.expand([phase], net):
                    layers.set_trainable(net, part.trainable)
                    optimizers.create(net, part, model)
                    parts.append(part)
        if model.batch_size == 1:
            for part in parts:
                layers.set_trainable(net, part.trainable)
                layers.set_train_mode(net, part.batch_norm)
                trial.check_single_image(net, model, channels)
        source = pretrained.source_of(model)
        if isinstance(source, Path):
            with torch.device("cpu"):
                pretrained.read(net, source)


def _check_augmentations(model: Model, at: str, result: list[Problem], channels: int) -> None:
    """Build each augmentation, and apply it to an image."""
    import numpy as np

    from podium.images.augment import Augmentation
    from podium.params import augment_channels
    from podium.training.batch_augment import BatchAugmentation

    side = max(MIN_TEST_IMAGE_PIXELS, model.image_size)
    image = np.random.default_rng(0).integers(0, 256, (side, side, channels), np.uint8)
    phases = {f"{at}.phases[{index}]": phase.augment for index, phase in enumerate(model.phases)}
    for section, augment in {at: model.augment, **phases}.items():
        if augment is not None:
            with collect(result, section):
                transform = Augmentation(
                    augment,
                    size=model.image_size,
                    resize_mode=model.resize_mode,
                    channels=channels,
                )
                augment_channels.check(transform)
                transform(image, bytes(16))
                if model.augment_on == "gpu":
                    BatchAugmentation(transform)


@contextmanager
def collect(result: list[Problem], at: str) -> Iterator[None]:
    """Append a UserError to `result`, as a problem of the section `at`. Its message starts with the
    key, unless it concerns several.
    """
    try:
        yield
    except UserError as error:
        key, _, text = str(error).partition(": ")
        result.append((at, str(error)) if " " in key else (f"{at}.{key}", text))
