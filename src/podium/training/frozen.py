"""A first phase that trains the head alone, on features that the frozen backbone computes once."""

import time
from collections.abc import Iterable

import torch
from torch import Tensor

from podium.config.phases import Part
from podium.core import console, seeding
from podium.images import ordered
from podium.images.loading import Batch
from podium.models import heads, inputs, layers, metadata_head
from podium.models.inference import infer_features
from podium.training.batch_loading import FeatureLoader
from podium.training.build import Components, FeatureLoaders
from podium.training.state import TrainState

MAX_BYTES = 2**30  # of all features; the same on each machine, since rounding depends on it
TOLERANCE = 1e-3  # of the largest logit


def with_features(run: Components, state: TrainState) -> Components:
    """What the current phase trains with: `run`, if `applies` with features in place of images. A
    resumed run computes them again, and `state` has the decision, since rounding may change it.

    Raises:
        Stopped: on a signal.
    """
    start = time.perf_counter()
    if state.progress.phase > 0:  # later, the EMA weights have another backbone
        return run
    if state.uses_features is None:
        state.uses_features = applies(run, state)
    if not state.uses_features:
        return run
    config, train, valid = run.config, run.loaders.train, run.loaders.valid
    count = _count(run)
    console.say(f"phase 1 trains the head on the features of {count} images, computed once")
    plain = ordered.for_inference(
        train.dataset.store,
        train.dataset.ids,
        size=config.image_size,
        resize_mode=config.resize_mode,
        batch_size=config.batch_size,
        device=run.accelerator.device.type,
    )
    learned = FeatureLoader(train.dataset, train.batch_sampler, _features(run, plain))
    held_out = None
    if valid is not None:
        held_out = FeatureLoader(valid.dataset, valid.batch_sampler, _features(run, valid))
    state.progress.feature_seconds = time.perf_counter() - start
    return run._replace(features=FeatureLoaders(learned, held_out))


def applies(run: Components, state: TrainState) -> bool:
    """Whether the backbone sees the same images in each epoch of the first phase, computes the
    same from them, and its features fit in `MAX_BYTES`. Tried with one batch.
    """
    if not _is_frozen(run, state):
        return False
    train = run.loaders.train
    train.batch_sampler.set_epoch(state.epoch, phase=state.progress.phase)
    batch = train.dataset.__getitems__(train.batch_sampler.batch(0))
    features = _features(run, [batch])
    if features.ndim != inputs.FEATURES or not features.shape[1]:
        return False  # the classifier is a convolution, as in dpn68b, or is not called
    size = _count(run) * features.shape[1] * features.element_size()
    return size <= MAX_BYTES and _is_equal(run, state, batch, features)


def _count(run: Components) -> int:
    train, valid = run.loaders
    return len(train.dataset) + (0 if valid is None else len(valid.dataset))


def _is_frozen(run: Components, state: TrainState) -> bool:
    """Whether the settings of the first phase allow to compute features once."""
    config, phase, net = run.config, state.phase, run.net
    augment = config.augment if phase.augment is None else phase.augment
    names = layers.classifier_names(net)
    heads_alone = tuple(f"{name}." for name in (*names, metadata_head.NAME))
    return (
        phase.trainable in ("head", Part(last=0))
        and run.epochs[0] > 1  # fewer than those of the phase in a model of all folds
        and phase.batch_norm != "all"
        and augment in ("none", [])
        and config.mix is None
        and not config.random_erasing
        and not config.drop_path
        and config.image_pool is None
        and config.shards == 1
        and not config.compile
        and len(names) == 1
        and all(
            name.startswith(heads_alone)  # GeM's exponent trains with the head, but precedes it
            for name in layers.trainable_names(net, phase.trainable)
        )
    )


def _features(run: Components, batches: Iterable[Batch]) -> Tensor:
    """What the classifier receives for each image: float32 [N, D] on the CPU."""
    _, features = infer_features(
        run.net,
        heads.only_classifier(run.net),
        batches,
        run.codec,
        accelerator=run.accelerator,
        batch_size=run.config.batch_size,
        split_on_oom=run.config.on_oom == "accumulate",
    )
    return features[:, 0] if features.shape[1] else features


@torch.no_grad()
def _is_equal(run: Components, state: TrainState, batch: Batch, features: Tensor) -> bool:
    """Whether the network in training mode gives the same outputs for a batch of images and for
    their features. It does not if the backbone has dropout or stochastic depth.
    """
    net = run.net
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    layers.set_train_mode(net, state.phase.batch_norm)

    def forward(images: Tensor) -> Tensor:
        seeding.set_global(0, "features")  # the same dropout
        ready = run.preprocess({**batch.inputs, "image": images})
        with run.accelerator.autocast():
            return inputs.forward(net, ready).float()

    expected, found = forward(batch.inputs["image"]), forward(features)
    for name, buffer in net.named_buffers():  # those of a batch norm in the head
        buffer.copy_(buffers[name])
    return torch.allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))
