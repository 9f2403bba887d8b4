"""Training one model on one fold."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import nn

from podium import (
    device,
    engine,
    files,
    layers,
    loading,
    losses,
    machine,
    mixing,
    models,
    optim,
    phases,
    state,
)
from podium import seed as seeding
from podium.augment import Augmentation
from podium.checkpoints import Checkpoints
from podium.errors import UserError
from podium.model_schema import Augment, Model
from podium.schema import MetricName
from podium.store import ImageStore


class Setup(NamedTuple):
    """What `engine.fit` gets, but for the metric."""

    net: nn.Module
    loaders: loading.Loaders
    config: Model  # gradual unfreezing written out
    loss: losses.Loss
    mixer: mixing.Mixer
    accelerator: Accelerator


def set_up(
    config: Model,
    folds: pd.DataFrame,
    *,
    classes: list[str],
    store: ImageStore,
    fold: int,
    seed: int,
) -> Setup:
    """A new model with all it is trained with on all folds but `fold`.

    `folds` has the columns id, label and fold, and where images are kept from training also train.

    Raises:
        UserError: for what timm and albumentations do not know, and for phases that cannot be.
    """
    accelerator = device.accelerator(config.precision)
    workers = machine.loader_workers(accelerator.device.type)
    targets = pd.Categorical(folds["label"], categories=classes).codes  # [N]
    is_valid = (folds["fold"] == fold).to_numpy()
    is_train = ~is_valid
    if "train" in folds:
        is_train &= (folds["train"] == "yes").to_numpy()
    if not is_train.any():
        raise UserError(f"fold {fold}: no images are left to train on")
    seeding.set_global(seed, "weights", fold)
    net = models.create(config, outputs=losses.outputs(config, len(classes)))
    config = config.model_copy(update={"phases": phases.expand(config.phases, net)})
    for phase in config.phases:  # a phase that cannot be is an error now, not when it begins
        layers.set_trainable(net, phase.trainable)
        optim.create(net, phase, config)
    if config.mix and (count := min(is_train.sum(), config.batch_size)) % 2:
        raise UserError(f"mix pairs a batch's images, and fold {fold} has only {count} to train on")

    def images(chosen: np.ndarray, augments: Sequence[Augment]) -> loading.Images:
        transforms = [Augmentation(a, size=config.image_size, fit=config.fit) for a in augments]
        ids = folds.loc[chosen, "id"].tolist()
        return loading.Images(store, ids, targets[chosen], transforms=transforms, seed=seed)

    augments = [config.augment if p.augment is None else p.augment for p in config.phases]
    draw = loading.balanced if config.sampling == "balanced" else loading.shuffled
    weights = losses.class_weights(config, targets[is_train], classes)
    return Setup(
        net,
        loading.Loaders(
            draw(images(is_train, augments), config.batch_size, workers=workers),
            loading.in_order(images(is_valid, ["none"]), config.batch_size, workers=workers),
        ),
        config,
        losses.Loss(config, weights).to(accelerator.device),
        mixing.Mixer(config, classes=len(classes), device=accelerator.device),
        accelerator,
    )


def train_fold(
    config: Model,
    folds: pd.DataFrame,
    *,
    classes: list[str],
    store: ImageStore,
    fold: int,
    seed: int,
    metric: MetricName,
    checkpoints: Checkpoints,
) -> tuple[state.Best, list[state.Epoch], dict[str, Any]]:
    """Train a new model on all folds but `fold`, choosing the epoch that scores best on that one.
    A training of the same that was interrupted goes on from the last of its `checkpoints`.

    Returns:
        The best epoch; the curves; and the device and pretrained file that were used.

    Raises:
        UserError: as `set_up` and `engine.fit`.
        Stopped: when the process was asked to end; a checkpoint has been written.
    """
    file = models.pretrained_file(config)
    setup = set_up(config, folds, classes=classes, store=store, fold=fold, seed=seed)
    used = {
        "device": device.name(setup.accelerator.device),
        "pretrained_sha256": None if file is None else files.sha256(file),
    }
    made_from = {
        **used,
        "config": config.model_dump(),
        "folds": folds.to_csv(index=False),
        "images": store.sha256(),
        "classes": classes,
        "fold": fold,
        "seed": seed,
        "metric": metric,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.__version__,
    }
    checkpoints.identify(made_from)
    best, curves = engine.fit(metric=metric, checkpoints=checkpoints, **setup._asdict())
    return best, curves, used
