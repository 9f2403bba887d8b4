"""Training one model on one fold."""

from typing import Any

import torch

from podium import device, engine, files, models, setup, state
from podium.checkpoints import Checkpoints
from podium.model_schema import Model
from podium.schema import MetricName


def train_fold(
    config: Model,
    data: setup.Data,
    *,
    fold: int,
    seed: int,
    metric: MetricName,
    checkpoints: Checkpoints,
) -> tuple[state.Best, list[state.Epoch], dict[str, Any]]:
    """Train a new model on all folds but `fold`, choosing the epoch that scores best on that one.
    A training of the same that was interrupted goes on from the last of its `checkpoints`.

    Returns:
        The best epoch, the curves, and all that they were made from.

    Raises:
        UserError: as `setup.set_up` and `engine.fit`.
        Stopped: when the process was asked to end; a checkpoint has been written.
    """
    file = models.pretrained_file(config)
    made = setup.set_up(config, data, fold=fold, seed=seed)
    made_from = {
        **data.made_from,
        "classes": data.classes,
        "config": config.model_dump(),
        "fold": fold,
        "seed": seed,
        "metric": metric,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "device": device.name(made.accelerator.device),
        "torch": torch.__version__,
        "pretrained_sha256": None if file is None else files.sha256(file),
    }
    checkpoints.identify(made_from)
    best, curves = engine.fit(metric=metric, checkpoints=checkpoints, **made._asdict())
    return best, curves, made_from
