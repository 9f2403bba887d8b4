"""Checkpoint averaging: the mean of the weights of several epochs of one training run."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from podium.core import console, seeding, signals
from podium.models import inputs, layers
from podium.scoring.metrics import Metric
from podium.training import loop, printing
from podium.training.build import Components
from podium.training.epochs import Best
from podium.training.state import TrainState, copy_weights


def average(run: Components, state: TrainState, *, metric: Metric) -> Best:
    """The average of the epochs that `state` kept, with its own batch-norm statistics and scores.
    It follows from them alone, so an interrupted run repeats it.

    Source: Izmailov et al. 2018, https://arxiv.org/abs/1803.05407 (the last epochs); Wortsman et
    al. 2022, https://arxiv.org/abs/2203.05482 (uniform soup).

    Raises:
        UserError: if logits are not finite.
        Stopped: on a signal.
    """
    start, epochs = time.perf_counter(), [kept.epoch.epoch for kept in state.kept]
    state.evaluated_model.load_state_dict(mean([kept.weights for kept in state.kept]))
    estimate_batch_norm(run, state)
    scores = loop.evaluate(run, state, metric=metric)
    seconds = time.perf_counter() - start
    epoch = replace(state.kept[-1].epoch, **scores, seconds=seconds, feature_seconds=0.0)
    console.say(
        f"average of epochs {', '.join(map(str, epochs))}{printing.describe(epoch, metric=metric)}"
    )
    return Best(epoch, epoch.rank(metric), copy_weights(state.evaluated_model), epochs)


def mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor, summed in float64; of integers (counters) the last one."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(last.dtype)
        if last.is_floating_point()
        else last
        for name, last in states[-1].items()
    }


@torch.no_grad()
def estimate_batch_norm(run: Components, state: TrainState) -> None:
    """Recompute the running statistics of the batch norms that updated them in the last phase: the
    mean over the batches of one more epoch, of images as they are augmented and mixed in training.

    The activations of averaged weights are not the average of the activations, so neither are their
    statistics. Frozen batch norms keep the constants that their network was trained with.
    """
    net, last = state.evaluated_model, len(run.config.phases) - 1
    layers.set_trainable(net, run.config.phases[last].trainable)
    layers.set_train_mode(net, run.config.phases[last].batch_norm)
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and _updates(m)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    sampler = run.loaders.train.batch_sampler
    sampler.set_epoch(state.epoch, phase=last, first_batch=0)
    sampler.set_share(run.shards.begin, run.shards.end, run.shards.count)
    images = min(sampler.batch_size, sampler.count)
    for step, batch in enumerate(console.bar(run.loaders.train, "batch norm")):
        signals.raise_if_stopped()
        seeding.set_global(sampler.seed, "batch norm", step)
        _, shard = next(run.shards.split(batch, images))  # the first, as in training
        targets = shard.targets.to(run.accelerator.device, non_blocking=True)
        mixed, _ = run.mixer(run.preprocess(shard.inputs), targets)
        for micro_batch in inputs.split(mixed, state.micro_batches):
            with run.accelerator.autocast():
                inputs.forward(net, micro_batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _updates(norm: _BatchNorm) -> bool:
    return norm.training and norm.track_running_stats
