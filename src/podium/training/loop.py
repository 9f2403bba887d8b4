"""The training loop: forward, backward and optimizer step of every batch, in one function."""

import math
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from podium.core import console, seeding, signals
from podium.core.errors import Stopped, UserError
from podium.images.loading import Batch
from podium.models import inputs, layers
from podium.models.inference import infer
from podium.scoring import decisions, functions
from podium.scoring.metrics import Metric
from podium.training import frozen
from podium.training.build import Components
from podium.training.checkpoints import Checkpoints
from podium.training.printing import PRINTER, Reporter
from podium.training.state import TrainState

NAN_HINT = "Lower lr, set grad_clip_norm or use precision: fp32, then retrain from scratch"

SCORES = ("valid_loss", "score", "accuracy", "precision", "recall", "f1")  # fields of `Epoch`


def train(
    run: Components,
    state: TrainState,
    *,
    metric: Metric,
    checkpoints: Checkpoints,
    reporter: Reporter = PRINTER,
) -> None:
    """Train through the remaining epochs and phases of `state`, validating after each epoch. A
    phase ends early when `config.patience` epochs have passed without a new best score.

    Raises:
        UserError: if the loss, the weights or the validation logits are not finite.
        Stopped: on a signal, after writing a checkpoint.
    """
    sampler = run.loaders.train.batch_sampler
    examples = state.steps_per_epoch * min(sampler.batch_size, sampler.count)  # per epoch
    images = round(examples * len(run.loaders.train.dataset) / sampler.count)
    used, phase = run, -1
    while not state.finished:
        if state.progress.phase != phase:
            phase = state.progress.phase
            with saved_if_stopped(state, checkpoints):
                used = frozen.with_features(run, state)
        start = time.perf_counter() - state.progress.seconds
        for _ in train_epoch(used, state):
            reporter.step(state)
            if run.shards.stop_requested() or checkpoints.due():
                state.progress.seconds = time.perf_counter() - start
                check_finite(run, state, last_checkpoint=checkpoints.last)
                _save(run, state, checkpoints)
                run.shards.raise_if_stopped()
        state.progress.seconds = time.perf_counter() - start
        check_finite(run, state, last_checkpoint=checkpoints.last)
        with saved_if_stopped(state, checkpoints):
            scores = run.shards.processes.from_first(partial(evaluate, used, state, metric=metric))
        seconds = time.perf_counter() - start
        is_best = state.end_epoch(scores, metric=metric, images=images, seconds=seconds)
        is_stopping = run.shards.stop_requested() or signals.stop_requested()
        averages = state.finished and run.config.average_checkpoints is not None
        if is_stopping or averages or checkpoints.due(epoch_ended=True):
            _save(run, state, checkpoints)
        reporter.epoch(state, metric=metric, is_best=is_best)
        if is_stopping:
            checkpoints.wait()
            run.shards.raise_if_stopped()


@contextmanager
def saved_if_stopped(state: TrainState, checkpoints: Checkpoints) -> Iterator[None]:
    """Write a checkpoint if a signal stops what the block does."""
    try:
        yield
    except Stopped:
        checkpoints.save(state.state_dict(), wait=True)
        raise


def _save(run: Components, state: TrainState, checkpoints: Checkpoints) -> None:
    """Write a checkpoint, at once if the run ends or other processes may read it."""
    wait = run.shards.stop_requested() or run.shards.processes.size > 1
    checkpoints.save(state.state_dict(), wait=wait)


def train_epoch(run: Components, state: TrainState) -> Generator[None, None, None]:
    """Train the rest of the current epoch; yield after each optimizer step."""
    config, accelerator, progress = run.config, run.accelerator, state.progress
    sampler = run.loaders.train.batch_sampler
    sampler.set_epoch(state.epoch, phase=progress.phase, first_batch=progress.step)
    layers.set_train_mode(state.net, state.phase.batch_norm)
    sampler.set_share(run.shards.begin, run.shards.end, run.shards.count)
    images = min(sampler.batch_size, sampler.count)
    loader = (run.features or run.loaders).train
    for batch in console.bar(loader, f"epoch {state.epoch}"):
        state.set_lr()
        # The epoch's last optimizer step may average the gradients of fewer batches.
        first = progress.step - progress.step % config.grad_accum_steps
        end = min(first + config.grad_accum_steps, state.steps_per_epoch)
        run.shards.begin_step(state.net)
        for key, shard in run.shards.split(batch, images):
            # Dropout, mixing and erasing depend on the step only, so that a resumed run repeats
            # them.
            seeding.set_global(sampler.seed, "step", progress.global_step + 1, *key)
            targets = shard.targets.to(accelerator.device, non_blocking=True)
            mixed, targets = run.mixer(run.preprocess(shard.inputs), targets)
            weight = run.criterion.weight(targets)
            factor = run.shards.factor(weight, images)
            shard_loss = torch.zeros((), device=accelerator.device)
            for micro_batch, micro_targets in zip(
                inputs.split(mixed, state.micro_batches),
                targets.tensor_split(state.micro_batches),
                strict=True,
            ):
                with accelerator.autocast():
                    outputs = inputs.forward(state.model, micro_batch)
                    share = run.criterion.weight(micro_targets) / weight
                    loss = run.criterion(outputs, micro_targets) * share
                accelerator.backward(loss * factor / (end - first))
                shard_loss += loss.detach()
            run.shards.add(state.net, weight=factor, loss=shard_loss * factor)
        # Read at the epoch's end: reading it now would wait for the GPU.
        state.step_losses[progress.step].add_(run.shards.end_step(state.net))
        progress.step += 1
        progress.global_step += 1
        if progress.step == end:
            if config.grad_clip_norm is not None:
                accelerator.clip_grad_norm_(state.net.parameters(), config.grad_clip_norm)
            state.optimizer.step()
            state.optimizer.zero_grad()
            if state.ema is not None:
                updates = math.ceil(progress.global_step / config.grad_accum_steps)
                state.ema.update(state.net, step=updates)
            yield


def predict(run: Components, state: TrainState, batches: Iterable[Batch]) -> Tensor:
    """The logits of validation batches: float32 [N, C] on the CPU.

    Raises:
        RuntimeError: if a batch does not fit the device's memory, although it is not larger than in
            training, and may not be split.
    """
    valid, config = run.loaders.valid, run.config
    size = config.batch_size if valid is None else valid.batch_sampler.batch_size
    return infer(
        state.evaluated_model,
        batches,
        run.codec,
        accelerator=run.accelerator,
        batch_size=size,
        split_on_oom=config.on_oom == "accumulate" or size > config.batch_size,
    )


def evaluate(run: Components, state: TrainState, *, metric: Metric) -> dict[str, Any]:
    """Score the validation images, by the field names of `Epoch`; all None if there are none. The
    loss is that of examples, the other scores are those of units, if images have them.

    Raises:
        UserError: if logits are not finite.
    """
    codec, loader = run.codec, (run.features or run.loaders).valid
    if loader is None:
        return dict.fromkeys(SCORES)
    logits = predict(run, state, loader)
    if bad := int((~logits.isfinite()).any(dim=1).sum()):
        raise UserError(f"{bad} validation images have non-finite logits. {NAN_HINT}.")
    task, targets = codec.task, loader.dataset.targets
    expected, predicted = targets.numpy(), logits.numpy()
    if run.units is not None:
        averaging = codec.loss.averaging
        expected, predicted = run.units.combine(task, expected, predicted, averaging)
    first = loader.dataset.first
    rule = decisions.default_rule(task, expected)
    labels = decisions.labels(task, task.probabilities(predicted), rule)
    return {
        "valid_loss": codec.unsmoothed_loss(logits[first], targets[first]).item(),
        "score": decisions.score(task, metric, expected, predicted, rule=rule),
        **functions.overview(task, expected, labels),
    }


def check_finite(run: Components, state: TrainState, *, last_checkpoint: Path | None) -> None:
    """Raise a UserError that names the epoch's first step with a non-finite loss, or whose update
    made the weights non-finite, and the images of its batch.
    """
    losses = state.step_losses.tolist()
    bad = [step for step, loss in enumerate(losses) if not math.isfinite(loss)]
    if not bad and state.is_finite():
        return
    step = bad[0] if bad else state.progress.step - 1
    problem = f"loss is {losses[step]}" if bad else "weights are not finite"
    batch = run.loaders.train.batch_sampler.batch(step)
    ids = ", ".join(run.loaders.train.dataset.ids[sample.row] for sample in batch)
    raise UserError(
        f"epoch {state.epoch}, step {step + 1}: {problem} (images {ids}). {NAN_HINT}. "
        f"Last good checkpoint: {last_checkpoint or 'none'}"
    )
