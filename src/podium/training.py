"""Training one model on one fold."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from podium import device, engine, files, loading, machine, models
from podium import seed as seeding
from podium.augment import Augmentation
from podium.schema import MetricName, Model
from podium.store import ImageStore


def train_fold(
    config: Model,
    folds: pd.DataFrame,
    *,
    classes: list[str],
    store: ImageStore,
    fold: int,
    seed: int,
    metric: MetricName,
) -> tuple[engine.Best, list[engine.Epoch], dict[str, Any]]:
    """Train a new model on all folds but `fold`, choosing the epoch that scores best on that one.

    `folds` has the columns id, label and fold.

    Returns:
        The best epoch; the curves; and the device and pretrained file that were used.
    """
    accelerator = device.accelerator(config.precision)
    workers = machine.loader_workers(accelerator.device.type)
    targets = pd.Categorical(folds["label"], categories=classes).codes  # [N]
    is_valid = (folds["fold"] == fold).to_numpy()

    def images(chosen: np.ndarray, augmentation: Augmentation) -> loading.Images:
        ids = folds.loc[chosen, "id"].tolist()
        return loading.Images(store, ids, targets[chosen], transform=augmentation, seed=seed)

    augmented = Augmentation(config.augment, size=config.image_size, fit=config.fit)
    plain = Augmentation([], size=config.image_size, fit=config.fit)
    seeding.set_global(seed, "weights", fold)
    net = models.create(config, classes=len(classes))
    best, curves = engine.fit(
        net,
        loading.shuffled(images(~is_valid, augmented), config.batch_size, workers=workers),
        loading.in_order(images(is_valid, plain), config.batch_size, workers=workers),
        config=config,
        metric=metric,
        loss=torch.nn.CrossEntropyLoss(label_smoothing=config.label_smoothing),
        seed=seed,
        accelerator=accelerator,
    )
    file = models.pretrained_file(config)
    used = {
        "device": device.name(accelerator.device),
        "pretrained_sha256": None if file is None else files.sha256(file),
    }
    return best, curves, used
