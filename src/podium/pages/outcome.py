"""What a finished project predicts, as the sections of its report need it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from podium.core import files, paths
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import decisions, target_scoring, units
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import LABEL_SEPARATOR, Target, Task


@dataclass(frozen=True)
class Outcome:
    """The ensemble's out-of-fold predictions of N images (or units), and its test predictions. No
    image was predicted by a model that trained on it.
    """

    task: Task
    metric: Metric
    scores: dict[str, Any]  # metrics/ensemble.json
    ids: list[str]
    images: list[list[str]]  # of each unit; usually one, named like the id
    folds: np.ndarray  # int [N]
    actual: list[str]  # labels
    targets: np.ndarray  # `actual`, as `Task.targets` returns them
    predicted: list[str]
    predicted_targets: np.ndarray
    probabilities: np.ndarray  # float64 [N, C], of regression the numbers
    rule: DecisionRule
    test_labels: list[str]
    test_probabilities: np.ndarray  # [M, C]
    target: str = ""  # the name of the target, in the outcome of one of several

    def of_targets(self) -> "list[Outcome]":
        """The outcome of each of several targets: its task, and the images that have a label."""
        return [self._of_target(part) for part in self.task.parts]

    def _of_target(self, part: Target) -> "Outcome":
        rows = part.labeled(self.targets)

        def texts(labels: Sequence[str]) -> list[str]:
            return [label.split(LABEL_SEPARATOR)[part.position] for label in labels]

        predicted = self.predicted_targets[rows]
        return replace(
            self,
            task=part.task,
            metric=target_scoring.metric_of(self.metric, part),
            ids=[*compress(self.ids, rows)],
            images=[*compress(self.images, rows)],
            folds=self.folds[rows],
            actual=texts([*compress(self.actual, rows)]),
            targets=part.of_labeled(self.targets),
            predicted=texts([*compress(self.predicted, rows)]),
            predicted_targets=part.of_labeled(predicted),
            probabilities=self.probabilities[rows, part.columns],
            rule=self.rule.targets[part.position] if self.rule.targets else DecisionRule(),
            test_labels=texts(self.test_labels),
            test_probabilities=self.test_probabilities[:, part.columns],
            target=part.name,
        )

    @property
    def classes(self) -> list[str]:
        """The classes, or the names of the numbers."""
        return self.task.classes

    @property
    def noun(self) -> str:
        """What the rows are: "image", or "id" if some have several images."""
        return "image" if all(len(images) == 1 for images in self.images) else "id"

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the most likely class: [N]."""
        highest: np.ndarray = self.probabilities.max(axis=1)
        return highest

    @property
    def wrong(self) -> np.ndarray:
        """Whether the predicted label differs from the actual one: [N]."""
        return np.array(self.actual) != np.array(self.predicted)


def read(metric: Metric) -> Outcome:
    """Read what the stages before have written.

    Raises:
        UserError: if a file is missing or damaged.
    """
    oof, labels = _read_oof(paths.ENSEMBLE / "oof.parquet")
    test = predictions.read(paths.ENSEMBLE / "test.parquet", EnsembleProvenance)
    table = Manifest(paths.FOLDS).csv("folds.csv").astype({"fold": int})
    images = table.groupby("unit" if "unit" in table else "id", sort=False)["id"].agg(list)
    rows = units.table(table).set_index("id").loc[oof.ids]
    task, rule = Task.of(oof.provenance), DecisionRule.of(oof.provenance.decision)
    on_test = task.probabilities(test.logits)
    return Outcome(
        task=task,
        metric=metric,
        scores=files.read_json(paths.METRICS / "ensemble.json"),
        ids=rows.index.to_list(),
        images=images.loc[oof.ids].to_list(),
        folds=rows["fold"].to_numpy(),
        actual=rows["label"].to_list(),
        targets=task.targets(rows["label"].to_list()),
        predicted=labels,
        predicted_targets=task.targets(labels),
        probabilities=task.probabilities(oof.logits),
        rule=rule,
        test_labels=decisions.to_texts(task, decisions.labels(task, on_test, rule)),
        test_probabilities=on_test,
    )


def of_members(outcome: Outcome) -> dict[str, Outcome]:
    """The out-of-fold predictions of each member alone.

    Raises:
        UserError: if a file is missing or damaged.
    """
    alone = dict[str, Outcome]()
    for name in outcome.scores["members"]:
        oof, labels = _read_oof(paths.ENSEMBLE / "members_oof" / f"{name}.parquet")
        alone[name] = replace(
            outcome,
            predicted=labels,
            predicted_targets=outcome.task.targets(labels),
            probabilities=outcome.task.probabilities(oof.logits),
            rule=DecisionRule.of(oof.provenance.decision),
        )
    return alone


def _read_oof(path: Path) -> tuple[Predictions[EnsembleProvenance], list[str]]:
    """Out-of-fold predictions and their labels."""
    oof = predictions.read(path, EnsembleProvenance)
    if oof.labels is None:
        raise UserError(f"{path} contains no labels. {files.RERUN_HINT}")
    return oof, oof.labels


def counts(labels: Sequence[str], task: Task) -> np.ndarray:
    """How many of `labels` each class has: [C]."""
    targets = task.targets([label for label in labels if task.name == "multilabel" or label])
    if task.name == "multilabel":
        totals: np.ndarray = (targets > 0).sum(axis=0)
        return totals
    return np.bincount(targets, minlength=len(task.classes))
