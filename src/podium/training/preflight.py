"""Verify the settings before training, so that nothing predictable fails after an epoch."""

import time
from itertools import islice

import numpy as np

from podium.core import console
from podium.images.sampling import SampleIndex
from podium.scoring import decisions
from podium.scoring.metrics import Metric
from podium.training import build, loop, memory
from podium.training.batch_loading import BatchLoader
from podium.training.build import Components, Loaders
from podium.training.checkpoints import Checkpoints
from podium.training.state import Progress, TrainState, copy_weights


def verify(
    run: Components, *, metric: Metric, checkpoints: Checkpoints, micro_batches: int = 1
) -> None:
    """Take a training step, predict a validation batch and write a checkpoint; then restore the
    weights of `run`. The training that follows starts with a new optimizer, and its random numbers
    depend on its own steps only, so the result is the same with or without this.

    Raises:
        UserError: if the metric is undefined on the validation fold, an augmentation fails, the
            loss is not finite, or the disk has no room for the checkpoints.
        RuntimeError: if a batch does not fit the device's memory.
    """
    start = time.perf_counter()
    if run.loaders.valid is not None:
        task, targets = run.codec.task, run.loaders.valid.dataset.targets.numpy()
        decisions.score(task, metric, targets, np.zeros((len(targets), len(task.classes))))
    for phase in range(len(run.config.phases)):  # each has its own augmentation
        run.loaders.train.dataset.__getitems__([SampleIndex(0, phase=phase)])
    weights, scaler = copy_weights(run.net), run.accelerator.scaler
    scaler_state = None if scaler is None else scaler.state_dict()
    for phase in memory.heaviest_phases(run):
        size = _try_phase(run, phase, checkpoints, micro_batches=micro_batches)
        run.net.load_state_dict(weights)
        run.accelerator.free_memory()  # the optimizer's
    if scaler is not None:
        scaler.load_state_dict(scaler_state)
    console.say(
        "settings verified: training step, validation batch, checkpoint "
        f"({size / 1e6:.1f} MB), {time.perf_counter() - start:.1f} s"
    )


def _try_phase(run: Components, phase: int, checkpoints: Checkpoints, *, micro_batches: int) -> int:
    """Take a training step with the largest batch (on a GPU twice: the optimizer allocates its
    state in the first), predict a validation batch and write a checkpoint. Returns the checkpoint's
    size in bytes.
    """
    valid, accelerator = run.loaders.valid, run.accelerator
    few = run.loaders.train.dataset.largest(run.config.batch_size)
    # As in the training, also if only these few would fit.
    on_device = isinstance(run.loaders.train, BatchLoader)
    changes = {"augment_on": "gpu" if on_device else "cpu", "sampling": "shuffled"}  # each once
    config = run.config.model_copy(update=changes)
    train = build.train_loader(few, config, accelerator.device, once=True)
    run = run._replace(loaders=Loaders(train, valid))
    state = TrainState(run, phase=phase, micro_batches=micro_batches)
    for _ in range(1 if accelerator.device.type == "cpu" else 2):
        state.progress = Progress(phase=phase)
        for _ in loop.train_epoch(run, state):
            pass
    loop.check_finite(run, state, last_checkpoint=None)
    if valid is not None:
        loop.predict(run, state, islice(valid, 1))
    averaged = run.config.average_checkpoints
    copies = 1 + (0 if averaged is None else averaged.count)  # in later checkpoints: best and kept
    weights = [copy_weights(state.evaluated_model) for _ in range(copies)]
    return checkpoints.verify({**state.state_dict(), "best": weights})
