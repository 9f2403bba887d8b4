"""Pseudo-labels: frozen predictions of the test images, without a label of the held-out fold."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from provenances import training
from trainings import FOLDS, config, train, training_data

from podium.config.models import PseudoLabels
from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.core.provenance import PredictionProvenance, PseudoProvenance
from podium.images.store import ImageStore
from podium.models import losses
from podium.prediction import predictions, pseudo
from podium.prediction.predictions import Predictions
from podium.scoring.task import Task
from podium.training import build
from podium.training.criterion import Criterion

IDS = ["t0", "t1", "t2"]
LOGITS = np.array([[4.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 3.0]], np.float32)
TASK = Task("multiclass", ["a", "b", "c"])


def member(fold: int, logits: np.ndarray = LOGITS, **changes: Any) -> Predictions[Any]:
    made = training(task="multiclass", classes=TASK.classes, fold=fold, folds_sha256="f", **changes)
    provenance = PredictionProvenance(
        training=made, weights_sha256="w", predict={}, images_sha256="test", averaging="logits"
    )
    return Predictions(IDS, logits, provenance)


def read(folder: Path, fold: int = 0, **changes: Any) -> pseudo.Labels:
    expected = {"task": TASK, "folds_sha256": "f", "images_sha256": "test", **changes}
    options = PseudoLabels(folder=folder.as_posix(), min_probability=expected.pop("least", 0.0))
    return pseudo.read(options, fold=fold, **expected)


def frozen(tmp_path: Path) -> Path:
    return pseudo.write(tmp_path, [pseudo.combine({"a": member(fold)}) for fold in (0, 1)])


def test_they_are_the_members_mean_probabilities(tmp_path: Path) -> None:
    other = np.zeros_like(LOGITS)
    folder = pseudo.write(tmp_path, [pseudo.combine({"a": member(0), "b": member(0, other)})])
    ids, targets = read(folder)
    expected = (TASK.probabilities(LOGITS) + 1 / 3) / 2
    assert ids == IDS and targets.dtype == np.float32
    np.testing.assert_allclose(targets, expected, rtol=1e-5)


def test_the_threshold_keeps_certain_images_only(tmp_path: Path) -> None:
    folder = frozen(tmp_path)
    assert read(folder, least=0.8).ids == ["t0", "t2"]
    with pytest.raises(UserError, match=r"no test image reaches 0\.999"):
        read(folder, least=0.999)


def test_a_network_that_trained_on_the_fold_is_refused(tmp_path: Path) -> None:
    """Fold 0 would learn its own labels from networks of fold 1, which trained on them."""
    with pytest.raises(UserError, match="would leak the labels of that fold"):
        pseudo.combine({"a": member(0), "b": member(1)})
    leak = pseudo.combine({"a": member(1)})
    renamed = dataclasses.replace(leak, provenance=dataclasses.replace(leak.provenance, fold=0))
    folder = pseudo.write(tmp_path, [renamed])
    with pytest.raises(UserError, match="would leak the labels of that fold"):
        read(folder)
    tables = [pseudo.combine({"a": member(fold)}) for fold in (0, 1)]
    good = pseudo.write(tmp_path, tables)
    (good / "fold1.parquet").replace(good / "fold0.parquet")
    swapped = good.rename(tmp_path / pseudo._checksum(good))
    with pytest.raises(UserError, match=r"different data \(fold\)"):
        read(swapped)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fold": 2}, "no labels for fold 2"),
        ({"folds_sha256": "g"}, r"different data \(folds\)"),
        ({"images_sha256": "other"}, r"different data \(test images\)"),
        ({"task": Task("multiclass", ["a", "b", "d"])}, r"different data \(task\)"),
    ],
)
def test_labels_of_other_data_are_refused(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        read(frozen(tmp_path), **changes)


def test_a_changed_or_missing_folder_is_an_error(tmp_path: Path) -> None:
    folder = frozen(tmp_path)
    assert frozen(tmp_path) == folder  # the same labels have the same name
    predictions.write(folder / "fold0.parquet", pseudo.combine({"a": member(0, -LOGITS)}))
    with pytest.raises(UserError, match="has changed since"):
        read(folder)
    with pytest.raises(UserError, match="not found"):
        read(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "probabilities", "expected"),
    [
        ("multiclass", [[0.2, 0.8]], [0.8]),
        ("multilabel", [[0.9, 0.4], [0.05, 0.99]], [0.6, 0.95]),
        ("regression", [[31.0]], [1.0]),
    ],
)
def test_confidence(name: TaskName, probabilities: list[Any], expected: list[float]) -> None:
    found = pseudo.confidence(Task(name, ["a", "b"]), np.array(probabilities))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", ["binary", "multiclass", "ordinal"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_hot_targets_are_encoded_like_labels(name: TaskName, smoothing: float) -> None:
    task = Task(name, ["0", "1"] if name == "binary" else ["0", "1", "2"])
    labels = torch.arange(len(task.classes))
    hot = torch.eye(len(task.classes))
    for loss in losses.names(name):
        encode = losses.LOSSES[loss].encode
        torch.testing.assert_close(encode(hot, task, smoothing), encode(labels, task, smoothing))


def test_class_weights_of_soft_targets_are_averaged(images: ImageStore) -> None:
    data = training_data(images, FOLDS)
    run = build.build(config(class_weights=[1.0, 2.0, 4.0]), data, fold=0, seed=1)
    criterion: Criterion = run.criterion
    soft = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(criterion.encode(soft).sum(dim=1), torch.tensor([1.5, 4.0]))


def frozen_for(images: ImageStore, folder: Path) -> PseudoLabels:
    """Labels of the training images as if they were the test images, for fold 0."""
    data = training_data(images, FOLDS)
    ids = FOLDS["id"].tolist()
    logits = 8 * np.eye(3, dtype=np.float32)[data.task.targets(FOLDS["label"].tolist())]
    made = training(
        task="multiclass", classes=data.task.classes, fold=0, folds_sha256=data.folds_sha256
    )
    provenance = PredictionProvenance(
        training=made,
        weights_sha256="w",
        predict={},
        images_sha256=images.sha256(),
        averaging="logits",
    )
    table = pseudo.combine({"a": Predictions(ids, logits, provenance)})
    assert isinstance(table.provenance, PseudoProvenance)
    return PseudoLabels(folder=pseudo.write(folder, [table]).as_posix(), min_probability=0.9)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampling": "balanced", "class_weights": "balanced", "label_smoothing": 0.1},
        {"mix": {"mixup_alpha": 0.2}},
        {"phases": [{"epochs": 1, "lr": 0.01, "init_from": "probe"}]},
    ],
    ids=["plain", "balanced", "mix", "probe"],
)
def test_a_model_trains_on_them_in_addition(
    images: ImageStore, tmp_path: Path, changes: dict[str, Any]
) -> None:
    options = frozen_for(images, tmp_path)
    data = training_data(images, FOLDS)
    model = config(**{"batch_size": 8, "phases": [{"epochs": 1, "lr": 0.01}], **changes})
    more = pseudo.extend(data, options, fold=0, test=images.folder)
    run = build.build(model, more, fold=0, seed=1)
    loaded = run.loaders.train.dataset
    assert len(loaded.ids) == len(FOLDS[FOLDS["fold"] != 0]) + len(FOLDS)
    np.testing.assert_array_equal(
        loaded.store.decode(loaded.ids[-1]), images.decode(FOLDS["id"].iloc[-1])
    )
    assert loaded.targets.shape == (len(loaded.ids), 3)
    result = train(images, data=more, **{"batch_size": 8, **changes})
    assert np.isfinite(result.curves[0].train_loss)


def test_without_them_nothing_changes(images: ImageStore) -> None:
    data = training_data(images, FOLDS)
    assert pseudo.extend(data, None, fold=0, test=images.folder) is data
