"""What is to be predicted of an image: labels as numbers, and logits as probabilities."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from scipy.special import expit, softmax

from podium.config.tasks import TaskName
from podium.core.manifest import Manifest

BETWEEN = "|"  # of several labels of an image, in our tables


class Described(Protocol):
    """What states a task and its classes: a provenance."""

    @property
    def task(self) -> str: ...
    @property
    def classes(self) -> list[str]: ...


class Task(NamedTuple):
    """The task and its classes."""

    name: TaskName
    classes: list[str]  # of task: regression the name of the number alone

    @classmethod
    def of(cls, described: "Described") -> "Task":
        """The task that a provenance states."""
        return cls(cast(TaskName, described.task), described.classes)

    @classmethod
    def read(cls, manifest: Manifest) -> "Task":
        """The task that prepared.json or folds.json states."""
        return cls(manifest.facts["task"], manifest.facts["classes"])

    def facts(self) -> dict[str, Any]:
        """What `read` reads."""
        return {"task": self.name, "classes": self.classes}

    @property
    def one_class(self) -> bool:
        """Whether an image has exactly one of the classes."""
        return self.name in ("binary", "multiclass", "ordinal")

    @property
    def grades(self) -> np.ndarray:
        """The classes of task: ordinal as numbers: float64 [C]."""
        return np.array([float(name) for name in self.classes])

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        """Our tables' labels as numbers: the classes int64 [N]; of task: multilabel 0 and 1,
        float32 [N, C]; of task: regression float32 [N, 1].

        Raises:
            KeyError: for a label that is none of the classes.
        """
        if self.name == "regression":
            return np.array([[float(label)] for label in labels], np.float32).reshape(-1, 1)
        number = {name: index for index, name in enumerate(self.classes)}
        if self.name != "multilabel":
            return np.array([number[label] for label in labels], np.int64)
        hot = np.zeros((len(labels), len(self.classes)), np.float32)
        for row, label in enumerate(labels):
            hot[row, [number[name] for name in label.split(BETWEEN) if label]] = 1
        return hot

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Of each class, float64 [N, C], from logits [N, C]; of task: regression the numbers."""
        values = logits.astype(np.float64)
        if self.name == "multilabel":
            return expit(values)
        return values if self.name == "regression" else softmax(values, axis=1)

    def values(self, probabilities: np.ndarray) -> np.ndarray:
        """A number an image, [N]: of task: ordinal the expected grade."""
        if self.name == "ordinal":
            return probabilities @ self.grades
        return probabilities[:, 0]
