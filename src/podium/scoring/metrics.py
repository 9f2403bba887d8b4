"""The registry of metrics.

To add a metric, add an entry to `METRICS`.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from sklearn import metrics as sk

from podium.config.tasks import SINGLE_LABEL as SINGLE
from podium.config.tasks import TargetTask, TaskName
from podium.core.errors import UserError, nearest
from podium.scoring import class_weights, functions, target_metrics, user_code


class Metric(NamedTuple):
    """A metric: a function of targets, as `Task.targets` returns them, and predictions."""

    name: str
    function: Callable[..., float]
    inputs: Literal["labels", "probabilities", "values"]
    """What the predictions are: labels in the form of the targets, probabilities [N, C], or
    numbers [N] (`Task.values`)."""
    tasks: tuple[TaskName, ...]
    greater_is_better: bool = True
    tune_for: tuple[TaskName, ...] = ()
    """Tasks for which decision thresholds are tuned to this metric."""
    k: int | None = None
    """The k of a metric `<name>@k`."""
    weights: class_weights.Weights | None = None
    """Weights of classes or targets."""
    sha256: str | None = None
    """Checksum of the code of a user-defined metric."""
    targets: target_metrics.TargetMetrics | None = None
    """How each of several targets is scored: the score is their weighted mean."""

    @property
    def accepts_sample_weight(self) -> bool:
        """Whether the function has a parameter `sample_weight`."""
        return "sample_weight" in inspect.signature(self.function).parameters

    def bound(self, classes: Sequence[str]) -> Callable[..., float]:
        """The metric's function for a task with these classes.

        Raises:
            UserError: if there are weights for other classes.
        """
        if self.weights is None:
            return self.function
        return class_weights.bind(self.function, family(self.name), self.weights, classes)

    def facts(self) -> dict[str, str | None]:
        """What data/metric.json contains: it changes if the scores may."""
        return {"metric": self.name, "sha256": self.sha256}

    def rank(self, value: float) -> float:
        """Return `value`, negated if lower is better."""
        return value if self.greater_is_better else -value


CLASSES: tuple[TaskName, ...] = (*SINGLE, "multilabel")
NUMBERS: tuple[TaskName, ...] = ("ordinal", "regression")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", sk.accuracy_score, "labels", CLASSES, tune_for=("multilabel",)),
        Metric(
            "balanced_accuracy", functions.balanced_accuracy, "labels", SINGLE, tune_for=("binary",)
        ),
        *(
            Metric(
                f"{average}_f1",
                partial(sk.f1_score, average=average, zero_division=0.0),
                "labels",
                CLASSES,
                tune_for=("binary", "multilabel"),
            )
            for average in ("macro", "micro", "weighted")
        ),
        *(
            Metric(
                f"{average}_f2",
                partial(sk.fbeta_score, beta=2, average=average, zero_division=0.0),
                "labels",
                ("multilabel",),
                tune_for=("multilabel",),
            )
            for average in ("macro", "micro")
        ),
        *(
            Metric(
                f"samples_f{beta}",
                # An image with neither targets nor labels scores 1.
                partial(sk.fbeta_score, beta=beta, average="samples", zero_division=1.0),
                "labels",
                ("multilabel",),
                tune_for=("multilabel",),
            )
            for beta in (1, 2)
        ),
        *(
            Metric(
                f"f{beta}",
                partial(sk.fbeta_score, beta=beta, zero_division=0.0),
                "labels",
                ("binary",),
                tune_for=("binary",),
            )
            for beta in (0.5, 1, 2)
        ),
        Metric("mcc", sk.matthews_corrcoef, "labels", SINGLE, tune_for=("binary",)),
        Metric("quadratic_weighted_kappa", functions.kappa, "labels", NUMBERS, tune_for=NUMBERS),
        Metric("log_loss", functions.log_loss, "probabilities", CLASSES, greater_is_better=False),
        Metric(
            "roc_auc",
            partial(functions.one_vs_rest, function=sk.roc_auc_score, needs_negatives=True),
            "probabilities",
            CLASSES,
        ),
        Metric("partial_auc", functions.partial_auc, "probabilities", ("binary",)),
        Metric("weighted_auc", functions.weighted_auc, "probabilities", ("binary",)),
        Metric("probabilistic_f1", functions.probabilistic_f1, "probabilities", ("binary",)),
        Metric("average_precision", functions.average_precision, "probabilities", CLASSES),
        Metric(
            "map@k", functions.map_at_k, "probabilities", ("multiclass", "multilabel", "ordinal")
        ),
        Metric("gap", functions.gap, "probabilities", ("binary", "multiclass")),
        Metric("mae", sk.mean_absolute_error, "values", NUMBERS, greater_is_better=False),
        Metric("rmse", sk.root_mean_squared_error, "values", NUMBERS, greater_is_better=False),
        Metric(
            "pooled_rmse", functions.pooled_rmse, "values", ("regression",), greater_is_better=False
        ),
        Metric("rmsle", functions.rmsle, "values", ("regression",), greater_is_better=False),
        Metric(
            "mape",
            sk.mean_absolute_percentage_error,
            "values",
            ("regression",),
            greater_is_better=False,
        ),
        Metric("r2", sk.r2_score, "values", NUMBERS),
    )
}
DEFAULTS: dict[TaskName, str] = {
    "binary": "roc_auc",
    "multiclass": "accuracy",
    "multilabel": "roc_auc",
    "ordinal": "quadratic_weighted_kappa",
    "regression": "rmse",
    "multitarget": target_metrics.MEAN,
}
RENAMED = {"matthews": "mcc"}
AT_K = re.compile(r"(\w+)@([1-9]\d*)")


def names(task: TaskName) -> list[str]:
    """The metrics for `task`, its default first."""
    if task == "multitarget":
        return [DEFAULTS[task], *(m for m in METRICS if METRICS[m].tasks != ("multilabel",))]
    others = (m.name for m in METRICS.values() if task in m.tasks and m.name != DEFAULTS[task])
    return [DEFAULTS[task], *others]


def family(name: str) -> str:
    """The metric's key in `METRICS`: `map@k` for `map@5`, `log_loss` for `log_loss(any=2)`."""
    written = class_weights.WRITTEN.fullmatch(name)
    return written[1] if written else AT_K.sub(r"\1@k", name)


def check_name(name: str, task: TaskName, targets: Mapping[str, TargetTask] | None = None) -> None:
    """Check that `name` is a metric for `task`, and for the tasks of several `targets`, if they are
    known. No user code is imported.

    Raises:
        ValueError: if it is not, with what to write instead.
    """
    if task == "multitarget":
        rises = lambda one: METRICS[family(one)].greater_is_better  # noqa: E731
        target_metrics.check(name, targets, check_name=check_name, greater_is_better=rises)
        return
    if user_code.is_user_defined(name):
        user_code.check_name(name)
        return
    key = family(name)
    if name in RENAMED:
        raise ValueError(f"{name} was renamed. Use {RENAMED[name]}.")
    if name.endswith("@k"):
        raise ValueError(f"{name} has no number. Write one for k, as in {name[:-1]}5.")
    if key not in METRICS:
        choices = f"Choose from {', '.join(names(task))}."
        raise ValueError(f"unknown metric {name}{nearest(key, METRICS) or f'. {choices}'}")
    if task not in METRICS[key].tasks:
        raise ValueError(
            f"{name} is not supported for task: {task}. Choose from {', '.join(names(task))}."
        )
    if written := class_weights.WRITTEN.fullmatch(name):
        class_weights.parse(written[2], key, task)


def get(name: str | None, task: TaskName) -> Metric:
    """The metric called `name`; None means the task's default.

    Raises:
        UserError: if it is not a metric for the task, or a user-defined one cannot be loaded.
    """
    name = name or DEFAULTS[task]
    try:
        check_name(name, task)
    except ValueError as error:
        raise UserError(f"metric: {error}") from None
    if task == "multitarget":
        return _of_targets(name)
    if user_code.is_user_defined(name):
        return _user_defined(name, task)
    metric = METRICS[family(name)]._replace(name=name)
    if written := class_weights.WRITTEN.fullmatch(name):
        return metric._replace(weights=class_weights.parse(written[2], written[1], task))
    if match := AT_K.fullmatch(name):
        k = int(match[2])
        return metric._replace(function=partial(metric.function, k=k), k=k)
    return metric


def _of_targets(name: str) -> Metric:
    """The weighted mean of the targets' scores, which `decisions.per_target` computes."""
    targets = target_metrics.parse(name)
    rises = all(METRICS[family(m.name)].greater_is_better for m in targets.values() if m.name)
    return Metric(name, np.average, "probabilities", ("multitarget",), rises, targets=targets)


def _user_defined(name: str, task: TaskName) -> Metric:
    function, options, sha256 = user_code.load(name)
    values = task == "regression" and options.inputs == "probabilities"
    return Metric(
        name,
        function,
        "values" if values else options.inputs,
        (task,),
        options.greater_is_better,
        (task,) if options.tune_thresholds and task != "multiclass" else (),
        sha256=sha256,
    )
