"""Training one model on one fold."""

import math
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from podium import (
    batch_size,
    cache,
    decisions,
    device,
    engine,
    files,
    interrupt,
    machine,
    models,
    progress,
    setup,
    state,
)
from podium.checkpoints import Checkpoints
from podium.errors import UserError
from podium.metrics import Metric
from podium.model_schema import Model

FEWEST = 2  # images a piece: one has no batch statistics


def train_fold(
    config: Model,
    data: setup.Data,
    *,
    fold: int,
    seed: int,
    metric: Metric,
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
    kept = cache.Cache(data.store)
    data = data._replace(store=kept)
    made = setup.set_up(config, data, fold=fold, seed=seed)
    where = device.name(made.accelerator.device)
    chosen = {"fold": fold, "seed": seed, "metric": metric.name, "device": where}
    made_from = {**_made_from(config, data), **chosen, "scale": [*made.coding.scale]}
    if metric.code is not None:
        made_from["metric_sha256"] = metric.code
    _try(metric, made)
    checkpoints.identify(made_from)
    ids = [image for loader in made.loaders for image in loader.dataset.ids]  # type: ignore[attr-defined]
    kept.fill(ids, budget=machine.cache_bytes())
    pieces = 1
    while True:
        try:
            with interrupt.noted():
                best, curves = engine.fit(
                    made, metric=metric, checkpoints=checkpoints, pieces=pieces
                )
            return best, curves, {**made_from, "pieces": curves[-1].pieces}
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                if config.compile:
                    _check_compiler(error)
                raise
        del made  # and what it holds of the memory
        clear_device_cache(garbage_collection=True)
        made = setup.set_up(config, data, fold=fold, seed=seed)
        batch = min(config.batch_size, len(made.loaders.train.dataset))  # type: ignore[arg-type]
        size = batch // pieces
        if config.out_of_memory == "fail":
            raise UserError(_too_large(config, made, where))
        if size < 2 * FEWEST:
            raise UserError(
                f"not even {size} images fit {where}: take a smaller model or image_size"
            )
        pieces *= 2
        progress.say(
            f"warning: {size} images do not fit {where}: each batch is taken in {pieces} pieces"
        )


def _try(metric: Metric, made: setup.Setup) -> None:
    """Raises: UserError: if the validation images cannot be scored, before an epoch has passed."""
    problem = made.coding.problem
    targets = made.loaders.valid.dataset.targets.numpy()  # type: ignore[attr-defined]
    decisions.score(problem, metric, targets, np.zeros((len(targets), len(problem.classes))))


def _check_compiler(error: RuntimeError) -> None:
    """Raises: UserError: if that is what failed."""
    from torch._dynamo.exc import TorchDynamoException

    if isinstance(error, TorchDynamoException):
        raise UserError(f"compile: {str(error).splitlines()[0]}; or set it to false") from None


def _made_from(config: Model, data: setup.Data) -> dict[str, Any]:
    """What a training's result follows from, but for what it is told beside these."""
    file = models.pretrained_file(config)
    return {
        **data.made_from,
        **data.problem._asdict(),
        "config": config.model_dump(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.__version__,
        "pretrained_sha256": None if file is None else files.sha256(file),
    }


def _too_large(config: Model, made: setup.Setup, where: str) -> str:
    """That a batch does not fit, and the size that does, measured."""
    cuda = made.accelerator.device.type == "cuda"
    share, at_most = batch_size.Trial(made).share, max(FEWEST, config.batch_size // 2)
    size = batch_size.largest(share, at_most=at_most, may_fail=cuda)
    steps = math.ceil(config.accumulate * config.batch_size / size)
    return (
        f"batch_size: {config.batch_size} does not fit {where}; {size} does. With accumulate: "
        f"{steps} beside it a step of the weights sees {steps * size} images; or set "
        "out_of_memory: accumulate"
    )
