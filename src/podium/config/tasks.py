"""The kinds of tasks."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "multilabel", "ordinal", "regression"]
SINGLE_LABEL: tuple[TaskName, ...] = ("binary", "multiclass", "ordinal")  # one label per image
