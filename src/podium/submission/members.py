"""The members' predictions: loaded, checked against each other, and aligned."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from podium.core import paths
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.core.paths import Fold
from podium.core.provenance import Averaging, PredictionProvenance, TrainingProvenance
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import units
from podium.scoring.task import Task
from podium.submission.methods import base


@dataclass(frozen=True)
class DataVersion:
    """The data that all members must have been trained on, and must predict."""

    task: Task
    folds_sha256: str
    train_sha256: str  # the training images'
    test_sha256: str

    @classmethod
    def read(cls, prepared: Manifest, folds: Manifest) -> "DataVersion":
        """The data that prepared.json and folds.json describe."""
        images = prepared.facts["images_sha256"]
        folds_sha256 = folds.sha256["folds.csv"]
        return cls(Task.read(folds), folds_sha256, images["train"], images["test"])


@dataclass(frozen=True)
class Member:
    """One model's predictions over all its folds."""

    oof: np.ndarray  # [N, C], each image predicted by the fold that did not train on it
    test: np.ndarray  # [T, C], averaged over the folds and the model of all folds
    provenance: list[PredictionProvenance]  # one per fold, and of the model of all folds

    @property
    def averaging(self) -> Averaging:
        """How this model's predictions are averaged."""
        return self.provenance[0].averaging

    def of_units(
        self, task: Task, folds: pd.DataFrame, test: pd.DataFrame, how: units.How
    ) -> "Member":
        """The predictions for the units of `folds` and of `test`, tables of the images."""
        return replace(
            self,
            oof=units.aggregate(task, self.oof, folds, how, self.averaging),
            test=units.aggregate(task, self.test, test, how, self.averaging),
        )


def load(
    folder: Path,
    folds: pd.DataFrame,
    *,
    test_ids: list[str],
    data: DataVersion,
    has_all: bool = False,
) -> Member:
    """Load a model's predictions for the folds in `folds` (columns id, label, fold); `has_all`: and
    of the test images by the model that was trained on all folds.

    Raises:
        UserError: if they do not cover every image exactly once, were made from other `data`, or
            do not belong together.
    """
    oof, test = list[Predictions[PredictionProvenance]](), list[Predictions[PredictionProvenance]]()
    runs: list[Fold] = sorted(folds["fold"].unique().tolist())
    for fold in [*runs, "all"] if has_all else runs:
        for name, parts, images_sha256 in (
            ("oof", oof, data.train_sha256),
            ("test", test, data.test_sha256),
        ):
            if fold == "all" and name == "oof":
                continue  # there is nothing that it was not trained on
            path = folder.parent / paths.fold_name(folder.name, fold) / f"{name}.parquet"
            parts.append(predictions.read(path, PredictionProvenance))
            predicted, first = parts[-1].provenance, oof[0].provenance.training
            training, of_fold = predicted.training, (test if fold == "all" else oof)[-1].provenance
            pairs = {
                "task": (Task.of(training), data.task),
                "folds": (training.folds_sha256, data.folds_sha256),
                "training images": (training.images_sha256, data.train_sha256),
                "predicted images": (predicted.images_sha256, images_sha256),
                "fold": (training.fold, fold),
                "config": (training.config, first.config),
                "seed": (training.seed, first.seed),
                "metric": (training.metric, first.metric),
                "weights_sha256": (predicted.weights_sha256, of_fold.weights_sha256),
                "predict": (predicted.predict, oof[-1].provenance.predict),
            }
            if different := sorted(key for key, pair in pairs.items() if pair[0] != pair[1]):
                raise UserError(
                    f"{path} was made with different data or params from the rest "
                    f"({', '.join(different)}). Run `dvc repro`."
                )
    _check_pretrained(folder.name, [part.provenance.training for part in test])
    source = f"{folder}/*/{{}}.parquet"
    return Member(
        predictions.align(
            [part.table for part in oof], folds["id"].tolist(), source=source.format("oof")
        ),
        base.mean_over_folds(
            [predictions.align([t.table], test_ids, source=source.format("test")) for t in test],
            test[0].provenance.averaging,
        ),
        [part.provenance for part in test],
    )


def _check_pretrained(model: str, folds: list[TrainingProvenance]) -> None:
    """Raises: UserError: if the folds did not all start from the same pretrained weights."""
    starts = {fold.pretrained_sha256: fold for fold in folds}
    if len(starts) > 1:
        files = ", ".join(
            f"{fold.pretrained_revision or (sha256 or 'random weights')[:12]} (fold {fold.fold})"
            for sha256, fold in starts.items()
        )
        stages = " ".join(paths.stage("train", model, fold.fold) for fold in folds)
        raise UserError(
            f"models.{model}.pretrained: folds started from different weights: {files}. Retrain "
            f"them from the same: `dvc repro --force --single-item {stages}`, then `dvc repro`."
        )
