"""Train one model on one fold."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from podium.config.models import Model
from podium.core import console, files, machine, signals
from podium.core.errors import UserError
from podium.core.paths import Fold
from podium.core.provenance import TrainingProvenance
from podium.models import device, layers, pretrained
from podium.scoring.metrics import Metric
from podium.training import averaging, build, examples, loop, memory, preflight, worst
from podium.training.batch_loading import BatchLoader
from podium.training.build import Components, TrainingData
from podium.training.cache import Cache
from podium.training.checkpoints import Checkpoints
from podium.training.epochs import Best, Epoch
from podium.training.memory import MIN_IMAGES
from podium.training.printing import PRINTER, Reporter
from podium.training.state import TrainState


class TrainedFold(NamedTuple):
    """The result of a training run."""

    best: Best
    curves: list[Epoch]
    provenance: TrainingProvenance

    @property
    def table(self) -> pd.DataFrame:
        """The learning curves, one row per epoch."""
        return pd.DataFrame(map(dataclasses.asdict, self.curves))

    @property
    def seconds(self) -> float:
        """The time of all epochs, and of averaging them."""
        timed = [*self.curves, self.best.epoch] if self.best.averaged else self.curves
        return round(sum(epoch.seconds for epoch in timed), 1)


def train_fold(
    config: Model,
    data: TrainingData,
    *,
    fold: Fold,
    seed: int,
    metric: Metric,
    checkpoints: Checkpoints,
    epochs: list[int] | None = None,
    reporter: Reporter = PRINTER,
) -> TrainedFold:
    """Train a new model on all folds but `fold`, and choose the epoch with the best score on it, or
    average the epochs that `config.average_checkpoints` selects. If `fold` is "all", nothing is
    held out: each phase lasts for its number of `epochs`, and the last epoch is kept. An
    interrupted run resumes from the last of its `checkpoints`.

    Raises:
        UserError: as `build.build`, `preflight.verify` and `loop.train`; if a batch does not fit
            the device's memory and `config.on_oom` does not allow to split it further.
        Stopped: on a signal, after writing a checkpoint.
    """
    cache = Cache(data.store)
    data = data._replace(store=cache)
    new_run = partial(build.build, config, data, fold=fold, seed=seed, epochs=epochs)
    run = new_run()
    provenance = _provenance(run, config, data, fold=fold, seed=seed, metric=metric, epochs=epochs)
    training = checkpoints.identify({**provenance.to_json(), **_numerics(run, data)})
    begin = partial(reporter.begin, provenance=provenance, training=training, code=checkpoints.code)
    kept = 0 if run.loaders.valid is None else run.loaders.valid.kept_bytes
    cache.fill(run.loaders.train.dataset.ids, budget=max(0, machine.cache_bytes() - kept))
    micro_batches = 1
    while True:
        try:
            with signals.deferred():
                best, curves = _train(
                    run,
                    _restore(run, data, seed, metric, checkpoints, micro_batches=micro_batches),
                    metric,
                    checkpoints,
                    reporter,
                    begin,
                )
            trained_with = replace(provenance, micro_batches=curves[-1].micro_batches)
            return TrainedFold(best, curves, trained_with)
        except (RuntimeError, ValueError) as error:
            _raise_unless_out_of_memory(error, config)
        del run  # its tensors would keep their memory
        clear_device_cache(garbage_collection=True)
        run = new_run()
        micro_batches = split_further(run, micro_batches)


def _restore(
    run: Components,
    data: TrainingData,
    seed: int,
    metric: Metric,
    checkpoints: Checkpoints,
    *,
    micro_batches: int,
) -> TrainState:
    """The state of the last checkpoint, or a new one after verifying the settings."""
    checkpoint = checkpoints.load()
    if checkpoint is None and run.config.phases[0].init_from == "probe":
        from podium.training import linear_probe  # imports scikit-learn, which takes a second

        linear_probe.init_head(run, data, seed=seed)
    if checkpoint is None:
        preflight.verify(run, metric=metric, checkpoints=checkpoints, micro_batches=micro_batches)
    state = TrainState(run, micro_batches=micro_batches)
    if checkpoint is not None:
        state.load_state_dict(checkpoint)
        console.say(f"resuming from checkpoint at step {state.progress.global_step}")
    return state


def _train(
    run: Components,
    state: TrainState,
    metric: Metric,
    checkpoints: Checkpoints,
    reporter: Reporter,
    begin: Callable[[Components, TrainState], None],
) -> tuple[Best, list[Epoch]]:
    """Train from `state`, which `begin` reports, to the end."""
    begin(run, state)
    loop.train(run, state, metric=metric, checkpoints=checkpoints, reporter=reporter)
    assert state.best is not None  # a phase has at least one epoch
    best = state.best
    if run.config.average_checkpoints is not None and run.shards.processes.is_first:
        best = averaging.average(run, state, metric=metric)
    with loop.saved_if_stopped(state, checkpoints):  # as the last epochs may not be
        reporter.finish(state, partial(worst.picture, run, state, best))
    return best, state.curves


def _numerics(run: Components, data: TrainingData) -> dict[str, str | int | None]:
    """What the weights depend on besides their provenance."""
    # `precision: auto` depends on the device, and on a CPU the number of threads changes sums.
    on_device = isinstance(run.loaders.train, BatchLoader)
    return {
        "aggregate": data.aggregate,
        "augment_on": "gpu" if on_device else "cpu",  # what `auto` means here
        "precision": run.accelerator.mixed_precision,
        "threads": torch.get_num_threads() if run.accelerator.device.type == "cpu" else None,
    }


def _provenance(
    run: Components,
    config: Model,
    data: TrainingData,
    *,
    fold: Fold,
    seed: int,
    metric: Metric,
    epochs: list[int] | None,
) -> TrainingProvenance:
    weights_file = pretrained.locate(config)
    return TrainingProvenance(
        **data.task.facts(),
        folds_sha256=data.folds_sha256,
        images_sha256=data.images_sha256,
        config=config.model_dump(),
        fold=fold,
        epochs=epochs,
        seed=seed,
        metric=metric.name,
        metric_sha256=metric.sha256,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        pretrained_sha256=None if weights_file is None else files.sha256(weights_file.path),
        pretrained_revision=None if weights_file is None else weights_file.revision,
        scale=[*run.codec.scale.mean, *run.codec.scale.std],
        torch=torch.__version__,
        device=device.name(run.accelerator.device),
        micro_batches=1,
        metadata=None if run.encoding is None else run.encoding.to_json(),
        channels=data.store.channels,
    )


def split_further(run: Components, micro_batches: int) -> int:
    """The next number of micro-batches to try after running out of memory.

    Raises:
        UserError: if `on_oom` is "fail" (with the batch size that fits), or if micro-batches would
            become too small.
    """
    config, name = run.config, device.name(run.accelerator.device)
    noun = examples.noun(config)
    if config.on_oom == "fail":
        size = memory.largest_batch(
            memory.Trial(run).memory_share,
            max_size=max(MIN_IMAGES, config.batch_size // 2),
            may_run_out=run.accelerator.device.type == "cuda",
            noun=noun,
        )
        steps = math.ceil(config.grad_accum_steps * config.batch_size / size)
        raise UserError(
            f"batch_size: {config.batch_size} does not fit the memory of {name}. Use batch_size: "
            f"{size} with grad_accum_steps: {steps} (effective batch size {steps * size}), or set "
            "on_oom: accumulate."
        )
    size = min(config.batch_size, run.loaders.train.batch_sampler.count) // micro_batches
    if size < 2 * MIN_IMAGES:
        raise UserError(
            f"{size} {noun} do not fit the memory of {name}. Use a smaller model or image_size."
        )
    console.say(
        f"warning: {size} {noun} do not fit the memory of {name}; splitting each batch into "
        f"{2 * micro_batches} micro-batches"
    )
    return 2 * micro_batches


def _raise_unless_out_of_memory(error: Exception, config: Model) -> None:
    """Raises: UserError: if torch.compile failed, or a batch has one image; other errors as they
    are, unless a batch did not fit the device's memory.
    """
    if isinstance(error, RuntimeError) and should_reduce_batch_size(error):
        return
    if layers.is_batch_too_small(error):
        raise UserError(
            f"one image is too small a batch for the batch norm of {config.architecture} at "
            f"{config.image_size} pixels. Use batch_size: 2 or more, and at least two images to "
            "train on."
        ) from None
    if config.compile:
        from torch._dynamo.exc import TorchDynamoException

        if isinstance(error, TorchDynamoException):
            raise UserError(f"compile: {str(error).splitlines()[0]}. Set compile: false.") from None
    raise error
