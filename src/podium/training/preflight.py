"""Verify the settings before training, so that nothing predictable fails after an epoch."""

import time

import numpy as np

from podium.core import console
from podium.images import loading
from podium.images.sampling import SampleIndex
from podium.models.inference import infer
from podium.scoring import decisions
from podium.scoring.metrics import Metric
from podium.training import loop, memory
from podium.training.build import Components
from podium.training.checkpoints import Checkpoints
from podium.training.state import TrainState, copy_weights


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
    _check_metric(run, metric)
    for phase in range(len(run.config.phases)):  # each has its own augmentation
        run.loaders.train.dataset.__getitems__([SampleIndex(0, phase=phase)])
    weights, scaler = copy_weights(run.net), run.accelerator.scaler
    scaler_state = None if scaler is None else scaler.state_dict()
    *lighter, heaviest = memory.heaviest_phases(run)
    for phase in lighter:
        _take_steps(run, phase, micro_batches=micro_batches)
        run.net.load_state_dict(weights)
        run.accelerator.free_memory()  # the optimizer's
    size = _validate_and_save(
        run, _take_steps(run, heaviest, micro_batches=micro_batches), checkpoints
    )
    run.net.load_state_dict(weights)
    if scaler is not None:
        scaler.load_state_dict(scaler_state)
    run.accelerator.free_memory()
    console.say(
        "settings verified: training step, validation batch, checkpoint "
        f"({size / 1e6:.1f} MB), {time.perf_counter() - start:.1f} s"
    )


def _check_metric(run: Components, metric: Metric) -> None:
    """Raises: UserError: if `metric` is undefined on the validation fold."""
    task, targets = run.codec.task, run.loaders.valid.dataset.targets.numpy()
    decisions.score(task, metric, targets, np.zeros((len(targets), len(task.classes))))


def _take_steps(run: Components, phase: int, *, micro_batches: int) -> TrainState:
    first = _first_batches(run, phase)
    state = TrainState(first, micro_batches=micro_batches)
    for _ in loop.train_epoch(first, state):
        pass
    loop.check_finite(first, state, last_checkpoint=None)
    return state


def _validate_and_save(run: Components, state: TrainState, checkpoints: Checkpoints) -> int:
    """Predict a validation batch and write a checkpoint of its full size: the bytes."""
    dataset = run.loaders.valid.dataset
    rows = range(min(run.config.batch_size, len(dataset)))
    infer(
        state.evaluated_model,
        [dataset.__getitems__([SampleIndex(row) for row in rows])],
        to_logits=run.codec.to_logits,
        accelerator=run.accelerator,
        split_on_oom=run.config.on_oom == "accumulate",
    )
    best = {"weights": copy_weights(state.evaluated_model)}  # in checkpoints from epoch 1 on
    return checkpoints.verify({**state.state_dict(), "best": best})


def _first_batches(run: Components, phase: int) -> Components:
    """`run` with one phase and few batches: one on a CPU, two elsewhere, since an optimizer
    allocates its own state in the first step and a device's memory is fullest in the second.
    """
    full = run.loaders.train.dataset
    count = run.config.batch_size * (1 if run.accelerator.device.type == "cpu" else 2)
    few = loading.Images(
        full.store,
        full.ids[:count],
        full.targets[:count].numpy(),
        transforms=[full.transforms[phase]],
        seed=full.seed,
    )
    loader = loading.shuffled(few, run.config.batch_size, workers=0)
    return run._replace(
        config=run.config.model_copy(update={"phases": [run.config.phases[phase]]}),
        loaders=loading.Loaders(loader, run.loaders.valid),
    )
