"""Small models for tests to train, on folds of small images."""

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import competitions
import pandas as pd
import torch
from conftest import ROOT, Project
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from podium.config.models import Model
from podium.config.phases import Phase
from podium.images.store import ImageStore
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.training import fingerprint
from podium.training.build import Components, TrainingData, build
from podium.training.checkpoints import Checkpoints
from podium.training.fold import TrainedFold, train_fold
from podium.training.printing import PRINTER, Reporter

# Each training parses all our code for it, which takes as long as a small training.
fingerprint.program = functools.cache(fingerprint.program)

WITH_SRC = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
FOLDS = competitions.tables(120, 0)[0].assign(fold=[i // 3 % 4 for i in range(120)])

EVERYTHING = {
    "augment": "heavy",
    "mix": {"mixup_alpha": 0.2, "cutmix_alpha": 1.0},
    "random_erasing": 0.5,
    "sampling": "balanced",
    "class_weights": "balanced",
    "head": "batch_norm",
    "dropout": 0.5,
    "grad_accum_steps": 2,
    "grad_clip_norm": 1.0,
    "ema_decay": 0.9,
    "label_smoothing": 0.1,
    "phases": [
        {"epochs": 1, "lr": 0.01, "trainable": "head", "warmup_epochs": 0.5},
        {"epochs": 2, "lr": 0.01, "layer_decay": 0.5, "init_from": "best", "augment": "light"},
    ],
}


def config(**changes: Any) -> Model:
    values = {
        "architecture": "test_resnet",
        "pretrained": False,
        "image_size": 32,
        "phases": [{"epochs": 1, "lr": 0.1}],
        "batch_size": 4,
    }
    return Model.model_validate(values | changes)


def phase(**values: Any) -> Phase:
    return Phase.model_validate({"epochs": 1, "lr": 0.1} | values)


def training_data(images: ImageStore, folds: pd.DataFrame) -> TrainingData:
    """What `read_data` would read."""
    present = set(folds["label"])
    classes = [name for name in competitions.CLASSES if name in present]
    return TrainingData(folds, Task("multiclass", classes), images, "f", images.sha256())


def components(
    images: ImageStore, *, data: TrainingData | None = None, **changes: Any
) -> Components:
    return build(
        config(**{"batch_size": 8, "resize_mode": "squash", "image_size": 64} | changes),
        data or training_data(images, FOLDS),
        fold=0,
        seed=1,
    )


def train(
    images: ImageStore,
    checkpoints: Checkpoints | None = None,
    *,
    folds: pd.DataFrame = FOLDS,
    metric: str = "accuracy",
    data: TrainingData | None = None,
    reporter: Reporter = PRINTER,
    **changes: Any,
) -> TrainedFold:
    """Train a small model on fold 0: by default 11 steps of 8 images per epoch, for one epoch."""
    defaults = {"batch_size": 8, "resize_mode": "squash", "phases": [{"epochs": 1, "lr": 0.01}]}
    with contextlib.ExitStack() as stack:
        if checkpoints is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            checkpoints = stack.enter_context(Checkpoints(Path(folder) / "x"))
        return train_fold(
            config(**(defaults | changes)),
            data or training_data(images, folds),
            fold=0,
            seed=1,
            metric=metrics.get(metric, "multiclass"),
            checkpoints=checkpoints,
            reporter=reporter,
        )


class Reads(TorchDispatchMode):
    """Counts how often a tensor's value is read, for which a GPU must have finished all work."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def gpu_waits() -> Iterator[list[str]]:
    """The messages of all waits for a GPU in the block, after it."""
    waits = list[str]()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield waits
        waits += [text for each in caught if "synchronizing" in (text := str(each.message))]
    finally:
        torch.cuda.set_sync_debug_mode("default")


def same_weights(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two state dicts are equal to the byte."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def start(project: Project) -> "subprocess.Popen[str]":
    """Start training model a on fold 0, and return in its sixth epoch."""
    process = subprocess.Popen(
        [sys.executable, "src/train.py", "--model", "a", "--fold", "0"],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch   5"):
            return process
    raise AssertionError("the training ended early")
