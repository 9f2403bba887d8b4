"""Measure training and prediction for a few seconds, with the code that they run."""

import contextlib
import io
import math
import tempfile
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from podium.config.models import Model
from podium.config.predict import Predict
from podium.core import machine
from podium.images import loading, ordered
from podium.images.store import ImageStore
from podium.models.inference import infer
from podium.planning import stopwatch
from podium.planning.cost import Rate, Split, Training
from podium.planning.gpu_use import GpuUse
from podium.planning.memory_use import PeakMemory
from podium.planning.stopwatch import Stopwatch
from podium.prediction.tta import VIEWS
from podium.training import build, frozen, linear_probe, loop
from podium.training.batch_loading import BatchLoader
from podium.training.build import Components, TrainingData
from podium.training.cache import Cache
from podium.training.checkpoints import Checkpoints
from podium.training.fold import split_further
from podium.training.state import Progress, TrainState, copy_weights

MAX_BATCHES = {"cpu": 16}  # whose images are cached, to measure with
MAX_BATCHES_GPU = 64  # loader workers load the first 2 each ahead
DETERMINES_TIME = {"trainable", "optimizer", "batch_norm", "augment"}  # of a phase
DETERMINES_COMPILING = {"trainable", "batch_norm"}
MAX_PROBE_IMAGES = 256


class ModelTime(NamedTuple):
    """What one model costs per fold."""

    training: Training
    epochs: list[int]  # per phase, gradual unfreezing expanded; 1 where features are computed once
    batch_size: int  # mean number of images per batch
    split: Split  # the fold's numbers of images, without test images
    prediction: Rate | None  # images, with all views
    memory: int  # bytes: the peak of its training
    gpu_use: float | None = None  # share of the time in which a GPU computes; None: not known


class ToPredict(NamedTuple):
    """Images, and how they are predicted."""

    store: ImageStore
    ids: list[str]
    options: Predict


def measure_model(
    config: Model, data: TrainingData, test: ToPredict | None = None, *, fold: int, seed: int
) -> ModelTime:
    """Train and predict a few batches of each phase of a model.

    Args:
        config: the model.
        data: with all images and folds of the training.
        test: what to predict. None: nothing.
        fold: the fold that is not trained on.
        seed: of the training.

    Raises:
        UserError: as `training.fold.train_fold`.
    """
    cache = Cache(data.store)
    data = data._replace(store=cache)
    start = stopwatch.now()
    run = build.build(config, data, fold=fold, seed=seed)
    network = stopwatch.now() - start
    micro_batches = 1
    while True:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # what the training prints
                return _measure(run, cache, data, test, network, seed, micro_batches)
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
        del run  # its tensors would keep their memory
        clear_device_cache(garbage_collection=True)
        run = build.build(config, data, fold=fold, seed=seed)
        micro_batches = split_further(run, micro_batches)


def _measure(
    run: Components,
    cache: Cache,
    data: TrainingData,
    test: ToPredict | None,
    network: float,
    seed: int,
    micro_batches: int,
) -> ModelTime:
    device, phases, (train, valid) = run.accelerator.device, run.config.phases, run.loaders
    assert valid is not None  # there is a held-out fold
    epochs = [1, *run.epochs[1:]] if frozen.applies(run, TrainState(run)) else run.epochs
    memory = PeakMemory(device)
    most = MAX_BATCHES.get(device.type, MAX_BATCHES_GPU)
    cached, more_memory = _fill(cache, [train, valid], most)
    head = _init_head(run, data, seed) if phases[0].init_from == "probe" else 0.0
    batches, checkpoint = dict[str, Rate](), 0.0
    keys = [phase.model_dump_json(include=DETERMINES_TIME) for phase in phases]
    if run.config.compile:  # again after each phase that trains other layers
        compiled = [phase.model_dump_json(include=DETERMINES_COMPILING) for phase in phases]
        keys = [f"{key} after {last}" for key, last in zip(keys, ["", *compiled], strict=False)]
    use = GpuUse()
    with use if device.type == "cuda" else contextlib.nullcontext():
        for phase, key in enumerate(keys):
            if key not in batches:
                batches[key], state = _steps(run, phase, micro_batches, most)
                checkpoint = max(checkpoint, _checkpoint(state))
    training = Training(
        network=network,
        cache=cached,
        probe=head,
        batches=tuple(batches[key] for key in keys),
        validation=_infer(run, state, valid),
        checkpoint=checkpoint,
    )
    return ModelTime(
        training,
        epochs,
        round(run.config.batch_size * len(train.dataset) / train.batch_sampler.count),
        Split(len(train.dataset), len(valid.dataset), 0),
        None if test is None else _predict(run, state, test),
        memory.bytes() + (0 if device.type == "cuda" else more_memory),
        use.share,
    )


def _fill(
    cache: Cache, loaders: Sequence[loading.Loader | BatchLoader | ordered.InOrder], most: int
) -> tuple[float, int]:
    """Cache the images of the first `most` training batches, and as many of the other loaders', or
    the share of them that a training would.

    Returns:
        seconds per image of the whole training, and the bytes that its cache needs in addition.
    """
    loaders[0].batch_sampler.set_epoch(1)
    most_images = sum(map(len, islice(loaders[0].batch_sampler, most)))
    ids = [
        loader.dataset.ids[sample.row]
        for loader in loaders
        for sample in islice(chain.from_iterable(loader.batch_sampler), most_images)
    ]
    ids = list(dict.fromkeys(ids))
    total, budget = sum(len(loader.dataset) for loader in loaders), machine.cache_bytes()
    sizes = [cache.store.decode(image).size for image in ids[:8]]
    needed = round(sum(sizes) / len(sizes) * total)
    share = min(1.0, budget / needed)
    few = ids[: math.ceil(share * len(ids))]
    start = stopwatch.now()
    cache.fill(few, budget=budget)
    seconds = stopwatch.now() - start
    return share * seconds / max(1, len(few)), round(share * needed * (1 - len(ids) / total))


def _init_head(run: Components, data: TrainingData, seed: int) -> float:
    """Seconds per image of initializing the head by a linear probe."""
    folds = data.folds[data.folds["id"].isin(run.loaders.train.dataset.ids)]
    few = folds.sample(min(len(folds), MAX_PROBE_IMAGES), random_state=seed)  # of all classes
    start = stopwatch.now()
    linear_probe.init_head(run, data._replace(folds=few), seed=seed)
    return (stopwatch.now() - start) / len(few)


def _steps(run: Components, phase: int, micro_batches: int, most: int) -> tuple[Rate, TrainState]:
    """The time of a phase's batches, of which the first `most` of an epoch are trained on."""
    state = TrainState(run, phase=phase, micro_batches=micro_batches)
    watch = Stopwatch(run.accelerator.device)
    while not watch.is_enough:
        done = 0
        with contextlib.closing(loop.train_epoch(run, state)) as steps:
            for _ in steps:
                watch.lap(state.progress.step - done)
                done = state.progress.step
                if watch.is_enough or done >= most:
                    break
        state.progress = Progress(phase=phase)
    return watch.rate(), state


def _checkpoint(state: TrainState) -> float:
    """The seconds that a checkpoint takes."""
    start = stopwatch.now()
    with tempfile.TemporaryDirectory(dir=".", prefix=".plan-") as folder:
        best = {"weights": copy_weights(state.evaluated_model)}
        Checkpoints(Path(folder)).save({**state.state_dict(), "best": best}, wait=True)
    return stopwatch.now() - start


def _predict(run: Components, state: TrainState, test: ToPredict) -> Rate:
    loader = ordered.for_inference(
        test.store,
        test.ids,
        size=run.config.image_size,
        resize_mode=run.config.resize_mode,
        batch_size=test.options.batch_size,
        device=run.accelerator.device.type,
    )
    return _infer(run, state, loader, views=test.options.views)


def _infer(
    run: Components,
    state: TrainState,
    loader: ordered.InOrder,
    *,
    views: Sequence[str] = ("identity",),
) -> Rate:
    watch = Stopwatch(run.accelerator.device)
    infer(
        state.evaluated_model,
        stopwatch.timed(loader, watch),
        run.codec,
        views=[VIEWS[view] for view in views],
        accelerator=run.accelerator,
        batch_size=loader.batch_sampler.batch_size,
        split_on_oom=run.config.on_oom == "accumulate",
    )
    return watch.rate()
