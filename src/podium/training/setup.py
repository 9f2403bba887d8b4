"""What a model is trained with: the prepared data, and what follows from them and the config."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from accelerate import Accelerator
from torch import nn

from podium.config.models import Model
from podium.config.phases import Augment
from podium.core import machine, seeding
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.images import loading
from podium.images.augment import Augmentation
from podium.images.store import ImageSource, ImageStore
from podium.models import device, factory, layers
from podium.models.targets import TargetCodec, scale
from podium.scoring.task import Task
from podium.training import mixup, optimizers, unfreezing
from podium.training.criterion import Criterion


class Data(NamedTuple):
    """The training images with their labels and folds."""

    folds: pd.DataFrame  # id, label, fold; where images are kept from training also train
    task: Task
    store: ImageSource
    folds_sha256: str
    images_sha256: str


class Setup(NamedTuple):
    """What `engine.fit` gets, but for the metric."""

    net: nn.Module
    loaders: loading.Loaders
    config: Model  # gradual unfreezing written out
    coding: TargetCodec
    loss: Criterion
    mixer: mixup.Mixer
    accelerator: Accelerator


def read_data(folder: Path) -> Data:
    """The training data that prepare and folds have written to `folder`.

    Raises:
        UserError: if they are not there, or not as they were written.
    """
    record, store = Manifest(folder / "folds.json"), ImageStore(folder / "images" / "train")
    folds = record.csv("folds.csv").astype({"fold": int})
    return Data(folds, Task.read(record), store, record.sha256["folds.csv"], store.sha256())


def set_up(config: Model, data: Data, *, fold: int, seed: int) -> Setup:
    """A new model with all it is trained with on all folds but `fold`.

    Raises:
        UserError: for what timm and albumentations do not know, and for phases that cannot be.
    """
    folds, task = data.folds, data.task
    accelerator = device.accelerator(config.precision)
    workers = machine.loader_workers(accelerator.device.type)
    targets = task.targets(folds["label"].tolist())
    is_valid = (folds["fold"] == fold).to_numpy()
    is_train = ~is_valid
    if "train" in folds:
        is_train &= (folds["train"] == "yes").to_numpy()
    if not is_train.any():
        raise UserError(f"fold {fold}: no images are left to train on")
    seeding.set_global(seed, "weights", fold)
    coding = TargetCodec(config, task, scale=scale(task, targets[is_train]))
    net = factory.create(config, outputs=coding.outputs)
    config = config.model_copy(update={"phases": unfreezing.expand(config.phases, net)})
    for phase in config.phases:  # a phase that cannot be is an error now, not when it begins
        layers.set_trainable(net, phase.trainable)
        optimizers.create(net, phase, config)
    if config.mix and (count := min(is_train.sum(), config.batch_size)) % 2:
        raise UserError(f"mix pairs a batch's images, and fold {fold} has only {count} to train on")

    def images(chosen: np.ndarray, augments: Sequence[Augment]) -> loading.Images:
        transforms = [
            Augmentation(a, size=config.image_size, resize_mode=config.resize_mode)
            for a in augments
        ]
        ids = folds.loc[chosen, "id"].tolist()
        return loading.Images(data.store, ids, targets[chosen], transforms=transforms, seed=seed)

    augments = [config.augment if p.augment is None else p.augment for p in config.phases]
    draw = loading.balanced if config.sampling == "balanced" else loading.shuffled
    return Setup(
        net,
        loading.Loaders(
            draw(images(is_train, augments), config.batch_size, workers=workers),
            loading.in_order(images(is_valid, ["none"]), config.batch_size, workers=workers),
        ),
        config,
        coding,
        Criterion.create(config, coding, targets[is_train], device=accelerator.device),
        mixup.Mixer(config, coding, device=accelerator.device),
        accelerator,
    )
