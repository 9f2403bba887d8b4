"""The kinds of tasks."""

from typing import Literal

TargetTask = Literal["binary", "multiclass", "ordinal", "regression"]  # of one of several targets
TaskName = Literal["binary", "multiclass", "multilabel", "ordinal", "regression", "multitarget"]
SINGLE_LABEL: tuple[TaskName, ...] = ("binary", "multiclass", "ordinal")  # one label per image
