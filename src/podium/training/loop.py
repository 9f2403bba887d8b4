"""The training loop: model, loaders, loss and mixer come in as an argument."""

import math
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from podium.core import console, seeding, signals
from podium.core.errors import UserError
from podium.images.loading import Loader
from podium.models import layers
from podium.models.inference import infer
from podium.models.targets import TargetCodec
from podium.scoring import decisions, functions
from podium.scoring.metrics import Metric
from podium.training.build import Components
from podium.training.checkpoints import Checkpoints
from podium.training.state import Best, Epoch, TrainState

ADVICE = "lower lr, set grad_clip_norm, or use precision: fp32"


def fit(
    run: Components, *, metric: Metric, checkpoints: Checkpoints, micro_batches: int = 1
) -> tuple[Best, list[Epoch]]:
    """Train the net of `run` through its phases, each batch in `micro_batches`: the best epoch by
    `metric`, and all the curves. When `config.patience` epochs have passed without a score above
    the best of all, the next phase begins. A training that was interrupted goes on from its last
    checkpoint.

    Raises:
        UserError: if the loss, the weights or the predictions stop being finite numbers.
        Stopped: when the process was asked to end; a checkpoint has been written.
    """
    net, (train, valid), config, codec, loss, preprocess, mixer, accelerator = run
    device = accelerator.device
    steps, order = len(train), train.batch_sampler
    size = min(order.batch_size, order.count)
    training = TrainState(net, config, accelerator, micro_batches=micro_batches)
    if (state := checkpoints.load()) is not None:
        training.resume(state)
        console.say(f"going on from a checkpoint after {training.progress.global_step} steps")
    while not training.ended:
        phase, place, epoch = training.phase, training.progress, len(training.curves) + 1
        start = time.perf_counter() - place.seconds
        order.set_epoch(epoch, phase=place.phase, first_batch=place.step)
        layers.set_training(net, phase.batch_norm)
        # Read at the epoch's end: no wait within.
        values = torch.tensor(place.losses or [0.0] * steps, device=device)
        for batch in console.bar(train, f"epoch {epoch}"):
            training.set_rates(steps)
            seeding.set_global(order.seed, "step", place.global_step + 1)
            targets = batch.targets.to(device, non_blocking=True)
            inputs, targets = mixer(preprocess(batch.inputs), targets)
            first, end = _together(place.step, config.grad_accum_steps, steps)
            values[place.step] = training.learn(inputs, targets, loss, steps=end - first)
            place.step, place.global_step = place.step + 1, place.global_step + 1
            if place.step == end:
                training.update()
                if signals.stop_requested() or checkpoints.due():
                    training.note(values, time.perf_counter() - start)
                    _check(training, train, checkpoints.last)
                    checkpoints.save(training.state())
                    signals.raise_if_stopped()
        training.note(values, time.perf_counter() - start)
        _check(training, train, checkpoints.last)
        with checkpoints.kept_if_stopped(training.state):
            scores = evaluate(
                training.kept, valid, codec=codec, metric=metric, accelerator=accelerator
            )
        seconds, images_seen = time.perf_counter() - start, steps * size
        is_best = training.end_epoch(scores, metric=metric, images=images_seen, seconds=seconds)
        checkpoints.save(training.state())
        console.say(_line(training.curves[-1], metric.name, is_best=is_best))
        signals.raise_if_stopped()
    assert training.best is not None  # a phase has an epoch or more
    return training.best, training.curves


def evaluate(
    model: nn.Module,
    loader: Loader,
    *,
    codec: TargetCodec,
    metric: Metric,
    accelerator: Accelerator,
) -> dict[str, float]:
    """The scores of `model` on the images of `loader`, as `Epoch` names them."""
    task = codec.task
    logits = infer(model, loader, to_logits=codec.to_logits, accelerator=accelerator)
    targets = loader.dataset.targets
    if bad := int((~logits.isfinite()).any(dim=1).sum()):
        raise UserError(f"the logits of {bad} validation images are no numbers: {ADVICE}")
    known, found = targets.numpy(), logits.numpy()
    decision = decisions.default_rule(task, known)
    labels = decisions.labels(task, task.probabilities(found), decision)
    return {
        "valid_loss": codec.unsmoothed_loss(logits, targets).item(),
        "score": decisions.score(task, metric, known, found, rule=decision),
        **functions.overview(task, known, labels),
    }


def _check(training: TrainState, train: Loader, last: Path | None) -> None:
    """Raises: UserError: naming the first step whose loss is no number, or after which the weights
    are none, with its images and the `last` checkpoint.
    """
    place = training.progress
    bad = [step for step, value in enumerate(place.losses) if not math.isfinite(value)]
    if not bad and training.is_finite():
        return
    step, what = (bad[0], "the loss is") if bad else (place.step - 1, "the weights are")
    ids, batch = train.dataset.ids, train.batch_sampler.batch(step)
    raise UserError(
        f"epoch {len(training.curves) + 1}, step {step + 1}: {what} no number any more, of the "
        f"images {', '.join(ids[sample.row] for sample in batch)}: {ADVICE}, which begins anew. "
        f"The last good checkpoint: {last or 'none yet'}"
    )


def _together(step: int, accumulate: int, steps: int) -> tuple[int, int]:
    """The first step and the end of those, in an epoch of `steps`, whose gradients are averaged."""
    first = step // accumulate * accumulate
    return first, min(first + accumulate, steps)


def _line(row: Epoch, metric: str, *, is_best: bool) -> str:
    return (
        f"epoch {row.epoch:3d}  train loss {row.train_loss:.4f}  valid loss {row.valid_loss:.4f}  "
        f"{metric} {row.score:.4f}{'*' if is_best else ' '}  lr {row.lr:.1e}  "
        f"{row.images_per_s:.0f} images/s"
    )
