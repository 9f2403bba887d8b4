"""The task: labels as targets, logits as probabilities."""

import json
from collections.abc import Mapping, Sequence
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


class Target(NamedTuple):
    """One of several targets: a task of its own, with a column of the targets and a slice of the
    logits.
    """

    name: str
    task: "Task"
    position: int  # its column in the targets [N, T]
    columns: slice  # its columns in the logits [N, C]

    def labeled(self, targets: np.ndarray) -> np.ndarray:
        """Which images have a label: boolean [N], from targets [N, T]."""
        has_label: np.ndarray = ~np.isnan(targets[:, self.position])
        return has_label

    def of_labeled(self, targets: np.ndarray) -> np.ndarray:
        """The labels of the `labeled` images as `Task.targets` of the own task returns them."""
        column = targets[self.labeled(targets), self.position]
        return column[:, None] if self.task.name == "regression" else column.astype(np.int64)


class Task(NamedTuple):
    """The task and its classes."""

    name: TaskName
    classes: list[str]  # regression: the names of the target columns, usually one
    targets_json: list[dict[str, Any]] | None = None
    """For multitarget: name, task and classes of each target, as JSON has them. `classes` are then
    those of all targets, one after the other."""

    @classmethod
    def of(
        cls,
        provenance: (
            TrainingProvenance | PredictionProvenance | PseudoProvenance | EnsembleProvenance
        ),
    ) -> "Task":
        """The task that a provenance states."""
        return cls(cast(TaskName, provenance.task), provenance.classes, provenance.targets)

    @classmethod
    def read(cls, manifest: Manifest) -> "Task":
        """The task that prepared.json or folds.json states."""
        facts = manifest.facts
        return cls(facts["task"], facts["classes"], facts.get("targets"))

    @classmethod
    def join(cls, tasks: "Mapping[str, Task]") -> "Task":
        """Several targets, by name, as one task: each has its part of the logits."""
        classes = [
            name if task.name == "regression" else f"{name}: {label}"
            for name, task in tasks.items()
            for label in task.classes
        ]
        targets = [
            {"name": name, "task": task.name, "classes": task.classes}
            for name, task in tasks.items()
        ]
        return cls("multitarget", classes, targets)

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
        facts = {"task": self.name, "classes": self.classes}
        return facts if self.targets_json is None else {**facts, "targets": self.targets_json}

    @property
    def parts(self) -> list[Target]:
        """The targets of multitarget; none for other tasks."""
        parts, start = list[Target](), 0
        for position, target in enumerate(self.targets_json or []):
            end = start + len(target["classes"])
            task = Task(target["task"], target["classes"])
            parts.append(Target(target["name"], task, position, slice(start, end)))
            start = end
        return parts

    def label_counts(self, targets: np.ndarray) -> dict[str, int]:
        """The number of labels of each of several targets, from targets [N, T]."""
        return {part.name: int(part.labeled(targets).sum()) for part in self.parts}

    @property
    def submitted_names(self) -> list[str]:
        """What a submission has a column or a row for: the targets, or the classes."""
        return [part.name for part in self.parts] or self.classes

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
        regression, numbers, float32 [N, C]; for multitarget, class indices or numbers, float32
        [N, T], NaN where there is no label.

        Raises:
            KeyError: if a label is not one of the classes.
        """
        if self.name == "multitarget":
            cells = [label.split(LABEL_SEPARATOR) for label in labels]
            columns = [
                part.task.column([row[part.position] for row in cells]) for part in self.parts
            ]
            return np.stack(columns, axis=1)
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

    def column(self, labels: Sequence[str]) -> np.ndarray:
        """One column of the targets of multitarget: float32 [N], NaN for empty labels."""
        column = np.full(len(labels), np.nan, np.float32)
        rows = [row for row, label in enumerate(labels) if label]
        column[rows] = self.targets([labels[row] for row in rows]).reshape(-1)
        return column

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
        if self.name == "multitarget":
            parts = [part.task.probabilities(values[:, part.columns]) for part in self.parts]
            return np.concatenate(parts, axis=1)
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
        """The scale of regression targets [N, C]; (0, 1) for other tasks. For multitarget, that of
        each column of the logits.
        """
        if self.name == "multitarget":
            scales = [part.task.scale(part.of_labeled(targets)) for part in self.parts]
            sizes = [len(part.task.classes) for part in self.parts]  # a number has one
            return Scale(
                [mean for s, size in zip(scales, sizes, strict=True) for mean in s.mean * size],
                [std for s, size in zip(scales, sizes, strict=True) for std in s.std * size],
            )
        if self.name != "regression" or not len(targets):
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
