"""What is to be predicted of an image: labels as numbers, and logits as probabilities."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, softmax

from podium.task_schema import Task

BETWEEN = "|"  # of several labels of an image, in our tables


class Problem(NamedTuple):
    """The task and its classes."""

    task: Task
    classes: list[str]  # of task: regression the name of the number alone

    @classmethod
    def of(cls, made_from: dict[str, Any]) -> "Problem":
        """That of what `made_from` says."""
        return cls(made_from["task"], made_from["classes"])

    @property
    def one_class(self) -> bool:
        """Whether an image has exactly one of the classes."""
        return self.task in ("binary", "multiclass", "ordinal")

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
        if self.task == "regression":
            return np.array([[float(label)] for label in labels], np.float32).reshape(-1, 1)
        number = {name: index for index, name in enumerate(self.classes)}
        if self.task != "multilabel":
            return np.array([number[label] for label in labels], np.int64)
        hot = np.zeros((len(labels), len(self.classes)), np.float32)
        for row, label in enumerate(labels):
            hot[row, [number[name] for name in label.split(BETWEEN) if label]] = 1
        return hot

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Of each class, float64 [N, C], from logits [N, C]; of task: regression the numbers."""
        values = logits.astype(np.float64)
        if self.task == "multilabel":
            return expit(values)
        return values if self.task == "regression" else softmax(values, axis=1)

    def values(self, probabilities: np.ndarray) -> np.ndarray:
        """A number an image, [N]: of task: ordinal the expected grade."""
        if self.task == "ordinal":
            return probabilities @ self.grades
        return probabilities[:, 0]
