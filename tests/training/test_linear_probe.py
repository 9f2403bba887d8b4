"""A head that is initialized by a linear probe of the backbone's features."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from trainings import FOLDS, config, same_weights, train, training_data

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.images import ordered
from podium.images.store import ImageStore
from podium.models.inference import infer
from podium.scoring.task import Task
from podium.training import build, linear_probe
from podium.training.build import Components, TrainingData
from podium.training.checkpoints import Checkpoints

FROM_PROBE = [{"epochs": 1, "lr": 1e-9, "init_from": "probe"}]
LOSSES: list[tuple[TaskName, str | None]] = [
    ("binary", None),
    ("binary", "cross_entropy"),
    ("binary", "focal"),
    ("multiclass", None),
    ("multiclass", "binary_cross_entropy"),
    ("multilabel", None),
    ("ordinal", None),
    ("ordinal", "cross_entropy"),
    ("regression", None),
    ("regression", "huber"),
]


def data_for(name: TaskName, images: ImageStore) -> TrainingData:
    """The same images with labels for another task, which follow from their class."""
    data = training_data(images, FOLDS)
    numbers = data.task.targets(FOLDS["label"].tolist())
    classes = {"multilabel": ["x", "y"], "ordinal": ["0", "1", "2"], "regression": ["age"]}
    labels = {
        "binary": np.where(numbers > 0, "yes", "no"),
        "multilabel": np.array(["x", "x|y", "y"])[numbers],
        "ordinal": numbers.astype(str),
        "regression": (50.0 + 10 * numbers).astype(str),
    }
    if name == "multiclass":
        return data
    task = Task(name, classes.get(name, ["no", "yes"]))
    return data._replace(task=task, folds=FOLDS.assign(label=labels[name]))


def run(data: TrainingData, **changes: Any) -> Components:
    settings = {"phases": FROM_PROBE, "image_size": 64, "resize_mode": "squash", "batch_size": 8}
    return build.build(config(**settings | changes), data, fold=0, seed=1)


def initialized(data: TrainingData, **changes: Any) -> Components:
    components = run(data, **changes)
    linear_probe.init_head(components, data, seed=1)
    return components


def predict(components: Components, ids: list[str]) -> np.ndarray:
    store = components.loaders.train.dataset.store
    loader = ordered.for_inference(store, ids, size=64, resize_mode="squash", batch_size=8)
    net, codec, accelerator = components.net, components.codec, components.accelerator
    size = loader.batch_sampler.batch_size
    return infer(net, loader, codec, accelerator=accelerator, batch_size=size).numpy()


@pytest.mark.parametrize(("name", "loss"), LOSSES)
def test_the_head_predicts_the_training_images(
    images: ImageStore, name: TaskName, loss: str | None
) -> None:
    data = data_for(name, images)
    components = initialized(data, loss=loss)
    train_images = components.loaders.train.dataset
    logits, targets = predict(components, train_images.ids), train_images.targets.numpy()
    if name == "regression":
        assert abs(logits - targets).mean() < 0.5 * targets.std()
    elif name == "multilabel":
        assert ((logits > 0) == (targets > 0)).mean() > 0.85
    else:
        assert (logits.argmax(axis=1) == targets).mean() > 0.85


def test_labels_of_the_validation_fold_change_nothing(images: ImageStore) -> None:
    data = data_for("multiclass", images)
    held_out = data.folds["fold"] == 0
    labels = data.folds["label"].where(~held_out, data.task.classes[0])
    other = data._replace(folds=data.folds.assign(label=labels))
    first, second = (initialized(d).net.state_dict() for d in (data, other))
    assert same_weights(first, second)


def test_only_the_head_changes_and_only_with_init_from_probe(images: ImageStore) -> None:
    data = data_for("multiclass", images)
    before, after = run(data).net.state_dict(), initialized(data).net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_the_first_epoch_starts_from_the_probe(images: ImageStore) -> None:
    """At a learning rate of almost 0, the score is the probe's."""
    batch_norm = {"batch_norm": "none"}
    (probe,) = train(images, phases=[FROM_PROBE[0] | batch_norm], image_size=64).curves
    (random,) = train(images, phases=[{"epochs": 1, "lr": 1e-9} | batch_norm]).curves
    assert probe.score > 0.6 > random.score


class Killed(BaseException):
    pass


class KilledInTheFirstEpoch(Checkpoints):
    def due(self) -> bool:
        return True

    def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
        super().save(state, wait=wait)
        if state["progress"]["step"] == 4:
            raise Killed


def test_a_resumed_run_gives_the_same_weights(tmp_path: Path, images: ImageStore) -> None:
    phases = [{"epochs": 2, "lr": 0.01, "init_from": "probe"}]
    whole = train(images, phases=phases)
    with pytest.raises(Killed), KilledInTheFirstEpoch(tmp_path / "x") as checkpoints:
        train(images, checkpoints, phases=phases)
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed = train(images, checkpoints, phases=phases)
    assert same_weights(resumed.best.weights, whole.best.weights)


def test_a_head_that_is_not_linear_is_an_error(images: ImageStore) -> None:
    data = training_data(images, FOLDS)
    with pytest.raises(UserError, match=r"requires a linear head with a bias, .* is a Conv2d"):
        run(data, architecture="resnetv2_50", image_size=32)


def test_one_training_fold_is_enough(images: ImageStore) -> None:
    two = FOLDS[FOLDS["fold"] < 2].reset_index(drop=True)
    data = training_data(images, pd.DataFrame(two))
    assert torch.isfinite(initialized(data).net.state_dict()["fc.weight"]).all()
