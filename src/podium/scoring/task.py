"""The task: labels as targets, logits as probabilities."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from podium.config.tasks import TaskName
from podium.core.manifest import Manifest
from podium.core.provenance import (
    EnsembleProvenance,
    PredictionProvenance,
    PseudoProvenance,
    TrainingProvenance,
)

LABEL_SEPARATOR = "|"  # between an image's labels, in our tables


class Scale(NamedTuple):
    """Mean and standard deviation of each regression target."""

    mean: list[float]
    std: list[float]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Scale":
        """The scale that a provenance states: all means, then all standard deviations."""
        count = len(values) // 2
        return cls(list(values[:count]), list(values[count:]))

    def standardize(self, targets: np.ndarray) -> np.ndarray:
        """Targets [N, C] with mean 0 and standard deviation 1: float32."""
        mean, std = (np.array(part, np.float32) for part in self)
        standardized: np.ndarray = (targets - mean) / std
        return standardized


class Task(NamedTuple):
    """The task and its classes."""

    name: TaskName
    classes: list[str]  # regression: the names of the target columns, usually one

    @classmethod
    def of(
        cls,
        provenance: (
            TrainingProvenance | PredictionProvenance | PseudoProvenance | EnsembleProvenance
        ),
    ) -> "Task":
        """The task that a provenance states."""
        return cls(cast(TaskName, provenance.task), provenance.classes)

    @classmethod
    def read(cls, manifest: Manifest) -> "Task":
        """The task that prepared.json or folds.json states."""
        return cls(manifest.facts["task"], manifest.facts["classes"])

    @classmethod
    def submitted(cls, manifest: Manifest) -> "Task":
        """The task with the label of images of none of the classes, if there is one, as its last
        class (`prepare.new_class`): what is scored and submitted, but not what models learn.
        """
        return cls.read(manifest).with_new_class(new_class(manifest))

    def with_new_class(self, name: str | None) -> "Task":
        """The task with one more class; itself for None."""
        return self if name is None else self._replace(classes=[*self.classes, name])

    def facts(self) -> dict[str, Any]:
        """The facts that `read` expects in a manifest."""
        return {"task": self.name, "classes": self.classes}

    @property
    def single_label(self) -> bool:
        """Whether an image has exactly one class."""
        return self.name in ("binary", "multiclass", "ordinal")

    @property
    def levels(self) -> np.ndarray:
        """The numeric values of ordinal classes: float64 [C]."""
        return np.array([float(name) for name in self.classes])

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        """Convert labels, as our tables have them, to targets.

        Returns class indices, int64 [N]; for multilabel, indicators, float32 [N, C]; for
        regression, numbers, float32 [N, C].

        Raises:
            KeyError: if a label is not one of the classes.
        """
        if self.name == "regression":
            rows = [[float(part) for part in label.split(LABEL_SEPARATOR)] for label in labels]
            return np.array(rows, np.float32).reshape(-1, len(self.classes))
        index = {name: i for i, name in enumerate(self.classes)}
        if self.name != "multilabel":
            return np.array([index[label] for label in labels], np.int64)
        indicators = np.zeros((len(labels), len(self.classes)), np.float32)
        for row, label in enumerate(labels):
            indicators[row, [index[name] for name in label.split(LABEL_SEPARATOR) if label]] = 1
        return indicators

    def soft_targets(self, shares: Sequence[str]) -> np.ndarray:
        """Targets float32 [N, C] from the share of an image's raters per class, given as JSON.
        Classes without images are dropped.
        """
        index = {name: i for i, name in enumerate(self.classes)}
        targets = np.zeros((len(shares), len(self.classes)), np.float32)
        for row, text in enumerate(shares):
            for name, share in json.loads(text).items():
                if name in index:
                    targets[row, index[name]] = share
        return targets / targets.sum(axis=1, keepdims=True) if self.single_label else targets

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Class probabilities, float64 [N, C], from logits [N, C]; regression: the values."""
        values = logits.astype(np.float64)
        if self.name == "multilabel":
            return expit(values)
        return values if self.name == "regression" else softmax(values, axis=1)

    def values(self, probabilities: np.ndarray) -> np.ndarray:
        """One number per image, [N]: for ordinal, the expected level; for regression, the value,
        or with several targets all values, [N, C].
        """
        if self.name == "ordinal":
            return probabilities @ self.levels
        return self.numbers(probabilities)

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Numbers of regression [N, C] as metrics take them: [N] for a single target."""
        return values[:, 0] if len(self.classes) == 1 else values

    def scale(self, targets: np.ndarray) -> "Scale":
        """The scale of regression targets [N, C]; (0, 1) for other tasks."""
        if self.name != "regression":
            return Scale([0.0], [1.0])
        mean, std = np.mean(targets, axis=0, dtype=float), np.std(targets, axis=0, dtype=float)
        return Scale(mean.tolist(), np.where(std > 1e-6 * abs(mean), std, 1.0).tolist())


def new_class(manifest: Manifest) -> str | None:
    """The label of images of none of the classes, which prepared.json or folds.json states."""
    name: str | None = manifest.facts.get("new_class")
    return name


def with_known_class(table: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """The rows of a table of labels that have one of the classes."""
    return table[table["label"] != new_class(manifest)].reset_index(drop=True)
