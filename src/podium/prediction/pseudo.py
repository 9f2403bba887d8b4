"""Pseudo-labels: frozen predictions of the test images, as labels to train on.

A folder `data/pseudo/<checksum>/` has one table per fold. That of fold k was predicted by networks
that did not train on fold k, so a model that trains on it has not seen fold k's labels, not even
indirectly. Members are averaged with equal weights, since fitted ones depend on all labels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_softmax, logsumexp

from podium.config.models import PseudoLabels
from podium.core import files
from podium.core.errors import UserError, examples
from podium.core.provenance import PredictionProvenance, PseudoProvenance
from podium.images.store import ImageStore, JoinedStores
from podium.metadata import table as metadata_table
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring.task import Task
from podium.training.build import PseudoLabeled, TrainingData

TEST = "test\0"  # before the ids of test images: they may be those of training images, too
NAME_LENGTH = 12  # characters of the checksum


class Labels(NamedTuple):
    """Test images to train on."""

    ids: list[str]
    targets: np.ndarray  # probabilities, float32 [N, C]; for regression, numbers [N, 1]


def combine(members: dict[str, Predictions[PredictionProvenance]]) -> Predictions[PseudoProvenance]:
    """The mean of the members' predictions of the test images, all of one fold.

    Raises:
        UserError: if they are of different folds, data or images.
    """
    first = next(iter(members.values()))
    training = first.provenance.training
    assert training.fold != "all"  # only those of folds are read
    provenance = PseudoProvenance(
        task=training.task,
        classes=training.classes,
        fold=training.fold,
        folds_sha256=training.folds_sha256,
        images_sha256=first.provenance.images_sha256,
        members={name: member.provenance for name, member in members.items()},
    )
    _check(provenance)
    task = Task.of(training)
    if task.parts:
        raise UserError("pseudo-labels do not support task: multitarget.")
    source = ", ".join(members)
    logits = np.stack(
        [predictions.align([member.table], first.ids, source=source) for member in members.values()]
    )
    if task.single_label:  # the probabilities of a class may differ much between members
        mean = logsumexp(log_softmax(logits, axis=2), axis=0) - np.log(len(logits))
    else:
        mean = logits.mean(axis=0)
    return Predictions(first.ids, mean.astype(np.float32), provenance)


def write(folder: Path, folds: Sequence[Predictions[PseudoProvenance]]) -> Path:
    """Write one table per fold to a folder below `folder`, which is named after its checksum."""
    new = folder / "new"
    files.remove(new)
    for table in folds:
        predictions.write(new / f"fold{table.provenance.fold}.parquet", table)
    final = folder / _checksum(new)
    files.remove(final)
    return new.rename(final)


def read(
    config: PseudoLabels, *, task: Task, fold: int, folds_sha256: str, images_sha256: str
) -> Labels:
    """The labels for a model that does not train on `fold`, of the images above the threshold.

    Raises:
        UserError: if the files have changed, if they were predicted by networks that may have seen
            labels of `fold`, or are of other data.
    """
    folder = Path(config.folder)
    if not folder.is_dir():
        raise UserError(
            f"pseudo_labels.folder: {folder} not found. Run `make pseudo`, or `dvc checkout`."
        )
    if _checksum(folder) != folder.name:
        raise UserError(f"{folder} has changed since `make pseudo`. Run it again.")
    path = folder / f"fold{fold}.parquet"
    if not path.is_file():
        raise UserError(f"{folder} has no labels for fold {fold}. Run `make pseudo` again.")
    table = predictions.read(path, PseudoProvenance)
    provenance = table.provenance
    _check(provenance)
    pairs = {
        "fold": (provenance.fold, fold),
        "folds": (provenance.folds_sha256, folds_sha256),
        "task": (Task(task.name, provenance.classes), task),
        "test images": (provenance.images_sha256, images_sha256),
    }
    if different := [name for name, (found, expected) in pairs.items() if found != expected]:
        raise UserError(
            f"{path} was made from different data ({', '.join(different)}). Run `make pseudo` "
            "again."
        )
    targets = task.probabilities(table.logits).astype(np.float32)
    rows = confidence(task, targets) >= config.min_probability
    ids = [image for image, keep in zip(table.ids, rows, strict=True) if keep]
    if not ids:
        raise UserError(
            f"pseudo_labels.min_probability: no test image reaches {config.min_probability}. "
            "Lower it."
        )
    return Labels(ids, targets[rows])


def extend(
    data: TrainingData,
    config: PseudoLabels | None,
    *,
    fold: int,
    test: Path,
    metadata: Path | None = None,
) -> TrainingData:
    """Training data with the test images in the store `test` that have pseudo-labels for `fold`,
    and their rows of the table `metadata`, if the training images have metadata.

    Raises:
        UserError: as `read`.
    """
    if config is None:
        return data
    store = ImageStore(test)
    labels = read(
        config,
        task=data.task,
        fold=fold,
        folds_sha256=data.folds_sha256,
        images_sha256=store.sha256(),
    )
    pseudo = PseudoLabeled([TEST + image for image in labels.ids], labels.targets)
    data = data._replace(store=JoinedStores(data.store, {TEST: store}), pseudo=pseudo)
    if metadata is None or data.metadata is None:
        return data
    of_test = metadata_table.read(metadata).rename(index=lambda image: TEST + image)
    return data._replace(metadata=pd.concat([data.metadata, of_test]))


def confidence(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """How certain an image's labels are, [N]: the probability of the most likely class; for
    multilabel, that of the least certain label; for regression, 1.
    """
    if task.name == "regression":
        return np.ones(len(probabilities))
    if task.name == "multilabel":
        result: np.ndarray = np.maximum(probabilities, 1 - probabilities).min(axis=1)
        return result
    highest: np.ndarray = probabilities.max(axis=1)
    return highest


def _check(provenance: PseudoProvenance) -> None:
    """Raises: UserError: if a member was not trained as the table says."""
    wrong = [
        name
        for name, member in provenance.members.items()
        if (member.training.fold, member.training.folds_sha256, member.images_sha256)
        != (provenance.fold, provenance.folds_sha256, provenance.images_sha256)
    ]
    if wrong:
        raise UserError(
            f"{examples(wrong)}: not trained without fold {provenance.fold} of these folds, so its "
            "predictions would leak the labels of that fold. Run `dvc repro`, then `make pseudo`."
        )


def _checksum(folder: Path) -> str:
    """The first characters of a checksum of the tables in `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.parquet")):
        digest.update(f"{path.name} {files.sha256(path)}\n".encode())
    return digest.hexdigest()[:NAME_LENGTH]
