"""Build everything that one training run uses from the prepared data and a model's config."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import nn

from podium.config.models import Model
from podium.config.phases import Augment
from podium.core import machine, paths, seeding
from podium.core.manifest import Manifest
from podium.core.paths import Fold
from podium.images import loading, ordered
from podium.images.augment import Augmentation
from podium.images.store import ImageSource, ImageStore
from podium.metadata import table
from podium.metadata.encoding import Encoding
from podium.models import device, factory, layers
from podium.models.inputs import Preprocess
from podium.models.targets import TargetCodec
from podium.scoring import units
from podium.scoring.task import Task, with_known_class
from podium.scoring.units import How, Units
from podium.training import (
    batch_augment,
    batch_loading,
    examples,
    mixup,
    optimizers,
    processes,
    unfreezing,
)
from podium.training.batch_loading import BatchLoader, FeatureLoader
from podium.training.criterion import Criterion
from podium.training.shards import Shards

# Validation keeps no activations for a backward pass, so on a GPU its batches are this many times
# as large as in training.
GPU_VALID_BATCHES = 8


class PseudoLabeled(NamedTuple):
    """Test images to train on, too."""

    ids: list[str]  # in the store
    targets: np.ndarray  # class probabilities [N, C]; for regression, numbers [N, 1]


class TrainingData(NamedTuple):
    """The training images with their labels and folds."""

    folds: pd.DataFrame  # id, label, fold; with folds.subsample also train ("yes" or "no")
    task: Task
    store: ImageSource
    folds_sha256: str
    images_sha256: str
    pseudo: PseudoLabeled | None = None
    metadata: pd.DataFrame | None = None  # by image id
    aggregate: How = "mean"  # of the predictions of a unit's images


class Loaders(NamedTuple):
    """The batches to train and validate a model with."""

    train: loading.Loader | BatchLoader
    valid: ordered.InOrder | None  # None for a model of all folds


class FeatureLoaders(NamedTuple):
    """The same batches, with the features of a frozen backbone in place of the images."""

    train: FeatureLoader
    valid: FeatureLoader | None


class Components(NamedTuple):
    """A network and everything it is trained with."""

    net: nn.Module
    loaders: Loaders
    config: Model  # with gradual unfreezing expanded into phases
    epochs: list[int]  # of each phase, at most
    codec: TargetCodec
    criterion: Criterion
    preprocess: Preprocess
    mixer: mixup.Mixer
    accelerator: Accelerator
    shards: Shards
    encoding: Encoding | None  # of the metadata; None: no metadata
    units: Units | None = None  # of the validation images; None: each by itself
    features: FeatureLoaders | None = None  # what to use instead of `loaders`


def read_data(folder: Path) -> TrainingData:
    """Read the training data that the stages prepare and folds wrote to `folder`.

    Raises:
        UserError: if files are missing, or differ from what was written.
    """
    manifest, store = Manifest(folder / "folds.json"), ImageStore(folder / "images" / "train")
    folds = with_known_class(manifest.csv("folds.csv").astype({"fold": int}), manifest)
    sha256 = manifest.sha256["folds.csv"]
    metadata = table.read(paths.metadata("train", folder))
    return TrainingData(
        folds,
        Task.read(manifest),
        store,
        sha256,
        store.sha256(),
        metadata=metadata,
        aggregate=units.read_how(folder / paths.METRIC.name),
    )


def build(
    config: Model, data: TrainingData, *, fold: Fold, seed: int, epochs: list[int] | None = None
) -> Components:
    """Create a new network and what it is trained with on all folds but `fold`, for as many epochs
    in each phase as its config says, or as `epochs` says.

    Raises:
        UserError: for names that timm or albumentations lack, and for phases that the network does
            not support.
    """
    folds, task = examples.arranged(data.folds, config), data.task
    accelerator = device.accelerator(config.precision)
    targets = task.targets(folds["label"].tolist())
    pseudo = data.pseudo
    extra = 0 if pseudo is None else len(pseudo.ids)
    is_train = examples.training_rows(folds, fold, config, extra=extra)
    metadata, encoding = data.metadata, None
    if config.metadata is not None and metadata is not None:
        encoding = Encoding.fit(metadata.loc[folds.loc[is_train, "id"]])
    seeding.set_global(seed, "weights", fold)
    trained = examples.one_per_example(folds[is_train], targets[is_train], config)
    codec = TargetCodec(config, task, scale=task.scale(trained))
    net = factory.create(
        config,
        outputs=codec.outputs,
        channels=data.store.channels,
        metadata_size=None if encoding is None else encoding.size,
    )
    phases = unfreezing.expand(config.phases, net)
    epochs = [phase.epochs for phase in phases] if epochs is None else epochs
    config = config.model_copy(update={"phases": phases[: len(epochs)]})
    if config.phases[0].init_from == "probe":
        layers.linear_head(net)
    for phase in config.phases:  # reject an impossible phase now, not when it starts
        layers.set_trainable(net, phase.trainable)
        optimizers.create(net, phase, config)

    def images(
        rows: pd.DataFrame, ids: list[str], targets: np.ndarray, augments: Sequence[Augment]
    ) -> loading.Images:
        size, mode, channels = config.image_size, config.resize_mode, data.store.channels
        transforms = [
            Augmentation(a, size=size, resize_mode=mode, channels=channels) for a in augments
        ]
        encoded = None
        if encoding is not None and metadata is not None:
            encoded = encoding.encode(metadata, ids)
        return loading.Images(
            data.store,
            ids,
            targets,
            transforms=transforms,
            seed=seed,
            metadata=encoded,
            units=examples.numbers(rows, config),
        )

    augments = [config.augment if p.augment is None else p.augment for p in config.phases]
    labeled = _training_images(folds[is_train], targets[is_train], data)
    train = images(folds[is_train], *labeled, augments)
    size, where = config.batch_size, accelerator.device.type
    valid, of_units = None, None
    if fold != "all":
        is_valid = (folds["fold"] == fold).to_numpy()
        rows = folds[is_valid]
        held_out = images(rows, rows["id"].tolist(), targets[is_valid], ["none"])
        valid_size = size * (GPU_VALID_BATCHES if where == "cuda" else 1)
        valid = ordered.InOrder(held_out, valid_size, device=where, keep=True)
        of_units = Units.of(rows, data.aggregate)
    criterion = Criterion(config, codec, trained, device=accelerator.device)
    return Components(
        net,
        Loaders(train_loader(train, config, accelerator.device), valid),
        config,
        epochs,
        codec,
        criterion,
        Preprocess(net, accelerator.device),
        mixup.Mixer(config, criterion, device=accelerator.device),
        accelerator,
        Shards(config.shards, processes.current()),
        encoding,
        of_units,
    )


def train_loader(
    images: loading.Images, config: Model, device: torch.device, *, once: bool = False
) -> loading.Loader | BatchLoader:
    """Training batches of `images`, augmented where `config.augment_on` says. With `once`, neither
    workers start nor are images copied to the device for later epochs.

    Raises:
        UserError: if augmentation on the device is asked for and not possible.
    """
    sampling = {"balanced": config.sampling == "balanced"}
    on_gpu = config.augment_on == "gpu"
    if config.augment_on == "auto" and device.type == "cuda":
        is_possible = not any(map(batch_augment.unsupported, images.transforms))
        on_gpu = is_possible and batch_loading.fits_memory(images, device)
    if on_gpu:
        order = loading.random_order(images, config.batch_size, **sampling)
        return BatchLoader(images, order, device, resident=not once)
    workers = 0 if once else machine.loader_workers(device.type)
    return loading.shuffled(images, config.batch_size, workers=workers, **sampling)


def _training_images(
    rows: pd.DataFrame, targets: np.ndarray, data: TrainingData
) -> tuple[list[str], np.ndarray]:
    """The labeled images, in `rows` of the folds, and, if there are any, those with pseudo-labels:
    ids and targets. With these, or several raters, targets are class probabilities [N, C].
    """
    ids: list[str] = rows["id"].tolist()
    if "shares" in rows:
        targets = data.task.soft_targets(rows["shares"].tolist())
    if data.pseudo is None:
        return ids, targets
    if targets.ndim == 1:
        targets = np.eye(len(data.task.classes), dtype=np.float32)[targets]
    return [*ids, *data.pseudo.ids], np.concatenate([targets, data.pseudo.targets])
