"""The kinds of tasks."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "multilabel", "ordinal", "regression"]
