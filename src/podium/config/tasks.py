"""The kinds of tasks, and which metrics suit each: names and no code."""

import re
from typing import Literal, get_args

TaskName = Literal["binary", "multiclass", "multilabel", "ordinal", "regression"]

OF_LABELS = ("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1")
OF_CLASSES = (*OF_LABELS, "mcc", "log_loss", "roc_auc", "average_precision", "map@k")
OF_NUMBERS = ("mae", "rmse", "r2", "quadratic_weighted_kappa")

METRICS: dict[TaskName, tuple[str, ...]] = {  # the first one is the default
    "binary": ("roc_auc", *(name for name in OF_CLASSES if name not in ("roc_auc", "map@k"))),
    "multiclass": OF_CLASSES,
    "multilabel": (
        "roc_auc",
        "average_precision",
        "accuracy",
        "macro_f1",
        "micro_f1",
        "weighted_f1",
        "samples_f1",
        "log_loss",
        "map@k",
    ),
    "ordinal": ("quadratic_weighted_kappa", "mae", "rmse", "r2", *OF_CLASSES),
    "regression": ("rmse", "mae", "r2", "quadratic_weighted_kappa"),
}

KNOWN_METRICS = tuple(dict.fromkeys(name for names in METRICS.values() for name in names))
OWN_METRIC = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")  # module:function
AT_K = re.compile(r"map@([1-9]\d*)")

assert set(METRICS) == set(get_args(TaskName))


def family(metric: str) -> str:
    """The name of a metric as `METRICS` has it: `map@5` is one of `map@k`."""
    return "map@k" if AT_K.fullmatch(metric) else metric
