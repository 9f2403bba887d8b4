"""Each task from its labels to scored logits, with a model that learns."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from trainings import FOLDS, config

from podium.config.predict import Predict
from podium.config.tasks import TaskName
from podium.core import seeding
from podium.core.provenance import PredictionProvenance
from podium.images.store import ImageStore
from podium.models import weights
from podium.models.targets import TargetCodec
from podium.prediction import predictions
from podium.prediction.predictor import Predictor
from podium.scoring import decisions, metrics
from podium.scoring.task import Task
from podium.training import fold
from podium.training.build import TrainingData
from podium.training.checkpoints import Checkpoints
from podium.training.criterion import Criterion
from podium.training.mixup import Mixer

pytestmark = pytest.mark.slow  # runs stages, or trains again and again

LABELS: dict[TaskName, tuple[list[str], dict[str, str]]] = {
    "binary": (["no", "yes"], {"circle": "no", "square": "no", "stripes": "yes"}),
    "multilabel": (
        ["filled", "striped", "round"],
        {"circle": "filled|round", "square": "filled", "stripes": "striped"},
    ),
    "ordinal": (["1", "2", "3"], {"circle": "2", "square": "3", "stripes": "1"}),
    "regression": (["weight"], {"circle": "120", "square": "135.5", "stripes": "90"}),
}
BETTER_THAN = {"roc_auc": 0.9, "quadratic_weighted_kappa": 0.5, "rmse": -16.0, "macro_f1": 0.75}


def data_of(task: TaskName, images: ImageStore) -> TrainingData:
    classes, names = LABELS[task]
    folds = FOLDS.assign(label=FOLDS["label"].map(names))
    return TrainingData(folds, Task(task, classes), images, "f", images.sha256())


def train(task: TaskName, images: ImageStore, folder: Path, **changes: Any) -> Any:
    model = config(
        batch_size=8,
        resize_mode="squash",
        phases=[{"epochs": 8, "lr": 0.01, "warmup_epochs": 1}],
        **changes,
    )
    return fold.train_fold(
        model,
        data_of(task, images),
        fold=0,
        seed=1,
        metric=metrics.get(None, task),
        checkpoints=Checkpoints(folder / "x"),
    )


@pytest.mark.parametrize("task", LABELS)
def test_a_model_learns_each_task_and_its_saved_weights_predict_what_was_scored(
    task: TaskName, images: ImageStore, tmp_path: Path
) -> None:
    best, curves, provenance = train(task, images, tmp_path)
    metric, task_ = metrics.get(None, task), Task.of(provenance)
    assert metric.rank(best.epoch.score) > BETTER_THAN[metric.name]
    weights.save(tmp_path / "weights.safetensors", best.weights, provenance)
    predictor = Predictor(tmp_path / "weights.safetensors", Predict(views=["identity"]))
    valid = data_of(task, images).folds.query("fold == 0")
    predicted = predictor.predict(images, valid["id"].tolist())
    predictions.write(tmp_path / "oof.parquet", predicted)
    read = predictions.read(tmp_path / "oof.parquet", PredictionProvenance)
    targets = task_.targets(valid["label"].tolist())
    score = decisions.score(task_, metric, targets, read.logits)
    assert score == pytest.approx(best.epoch.score, abs=1e-4)
    table = pd.DataFrame(map(dataclasses.asdict, curves))
    assert table["f1"].isna().all() == (task == "regression")


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("multilabel", {"mix": {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}, "label_smoothing": 0.1}),
        ("ordinal", {"mix": {"mixup_alpha": 0.4}, "ema_decay": 0.9}),
        ("regression", {"mix": {"cutmix_alpha": 1.0}, "loss": "huber", "grad_accum_steps": 2}),
        ("ordinal", {"loss": "focal", "class_weights": "balanced", "sampling": "balanced"}),
    ],
)
def test_training_options_work_for_every_task(
    task: TaskName, changes: dict[str, Any], images: ImageStore, tmp_path: Path
) -> None:
    best, _, _ = train(task, images, tmp_path, **changes)
    metric = metrics.get(None, task)
    chance = {"roc_auc": 0.5, "quadratic_weighted_kappa": 0.0, "rmse": -25.0}[metric.name]
    assert np.isfinite(best.epoch.valid_loss)
    assert metric.rank(best.epoch.score) > chance


def test_mixed_regression_targets_are_the_blend_of_both_images() -> None:
    model = config(batch_size=8, mix={"mixup_alpha": 1.0})
    codec = TargetCodec(model, Task("regression", ["x"]), scale=(10.0, 2.0))
    cpu, numbers = torch.device("cpu"), torch.arange(8.0)[:, None]
    mixer = Mixer(model, Criterion(model, codec, numbers.numpy(), device=cpu), device=cpu)
    pixels = torch.arange(8.0)[:, None, None, None].expand(8, 3, 32, 32).clone()
    seeding.set_global("mix")
    inputs, targets = mixer({"image": pixels}, numbers)
    mixed = inputs["image"]
    assert torch.allclose(codec.to_logits(targets), mixed[:, :1, 0, 0], atol=1e-5)
    assert not torch.allclose(codec.to_logits(targets), numbers)
