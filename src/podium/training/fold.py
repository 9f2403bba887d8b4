"""Training one model on one fold."""

import math
from dataclasses import replace

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from podium.config.models import Model
from podium.core import console, files, machine, signals
from podium.core.errors import UserError
from podium.core.provenance import TrainingProvenance
from podium.models import device, pretrained
from podium.scoring import decisions
from podium.scoring.metrics import Metric
from podium.training import build, cache, loop, memory, state
from podium.training.checkpoints import Checkpoints

FEWEST = 2  # images a piece: one has no batch statistics


def train_fold(
    config: Model,
    data: build.TrainingData,
    *,
    fold: int,
    seed: int,
    metric: Metric,
    checkpoints: Checkpoints,
) -> tuple[state.Best, list[state.Epoch], TrainingProvenance]:
    """Train a new model on all folds but `fold`, choosing the epoch that scores best on that one.
    A training of the same that was interrupted goes on from the last of its `checkpoints`.

    Returns:
        The best epoch, the curves, and all that they were made from.

    Raises:
        UserError: as `build.build` and `engine.fit`.
        Stopped: when the process was asked to end; a checkpoint has been written.
    """
    kept = cache.Cache(data.store)
    data = data._replace(store=kept)
    made = build.build(config, data, fold=fold, seed=seed)
    where = device.name(made.accelerator.device)
    start = pretrained.locate(config)
    provenance = TrainingProvenance(
        **data.task.facts(),
        folds_sha256=data.folds_sha256,
        images_sha256=data.images_sha256,
        config=config.model_dump(),
        fold=fold,
        seed=seed,
        metric=metric.name,
        metric_sha256=metric.sha256,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        pretrained_sha256=None if start is None else files.sha256(start.path),
        pretrained_revision=None if start is None else start.revision,
        scale=[*made.codec.scale],
        torch=torch.__version__,
        device=where,
        micro_batches=1,
    )
    _try(metric, made)
    checkpoints.identify(provenance.to_json())
    ids = [image for loader in made.loaders for image in loader.dataset.ids]
    kept.fill(ids, budget=machine.cache_bytes())
    micro_batches = 1
    while True:
        try:
            with signals.deferred():
                best, curves = loop.fit(
                    made, metric=metric, checkpoints=checkpoints, micro_batches=micro_batches
                )
            return best, curves, replace(provenance, micro_batches=curves[-1].micro_batches)
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                if config.compile:
                    _check_compiler(error)
                raise
        del made  # and what it holds of the memory
        clear_device_cache(garbage_collection=True)
        made = build.build(config, data, fold=fold, seed=seed)
        batch = min(config.batch_size, len(made.loaders.train.dataset))
        size = batch // micro_batches
        if config.on_oom == "fail":
            raise UserError(_too_large(config, made, where))
        if size < 2 * FEWEST:
            raise UserError(
                f"not even {size} images fit {where}: take a smaller model or image_size"
            )
        micro_batches *= 2
        console.say(
            f"warning: {size} images do not fit {where}: splitting each batch into "
            f"{micro_batches} micro-batches"
        )


def _try(metric: Metric, made: build.Components) -> None:
    """Raises: UserError: if the validation images cannot be scored, before an epoch has passed."""
    task = made.codec.task
    targets = made.loaders.valid.dataset.targets.numpy()
    decisions.score(task, metric, targets, np.zeros((len(targets), len(task.classes))))


def _check_compiler(error: RuntimeError) -> None:
    """Raises: UserError: if that is what failed."""
    from torch._dynamo.exc import TorchDynamoException

    if isinstance(error, TorchDynamoException):
        raise UserError(f"compile: {str(error).splitlines()[0]}; or set it to false") from None


def _too_large(config: Model, made: build.Components, where: str) -> str:
    """That a batch does not fit, and the size that does, measured."""
    cuda = made.accelerator.device.type == "cuda"
    share, at_most = memory.Trial(made).share, max(FEWEST, config.batch_size // 2)
    size = memory.largest(share, at_most=at_most, may_fail=cuda)
    steps = math.ceil(config.grad_accum_steps * config.batch_size / size)
    return (
        f"batch_size: {config.batch_size} does not fit {where}; {size} does. With accumulate: "
        f"{steps} beside it a step of the weights sees {steps * size} images; or set "
        "on_oom: accumulate"
    )
