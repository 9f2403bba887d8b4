"""The competition's metric by its name, computed by scikit-learn where it has it."""

import hashlib
import importlib
import inspect
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn import metrics as sk

from podium.config.tasks import AT_K, METRICS, TaskName
from podium.core.errors import UserError
from podium.scoring import custom  # noqa: F401  so that DVC knows of it
from podium.scoring.task import Task

Score = Callable[..., float]


class Metric(NamedTuple):
    """How predictions are scored."""

    name: str
    score: Score  # of targets as `Task` has them, and what it `takes`
    takes: Literal["labels", "probabilities", "values"]
    greater_is_better: bool = True
    code: str | None = None  # the SHA-256 of the file of a metric of the user's own

    def rank(self, value: float) -> float:
        """`value` such that more is better."""
        return value if self.greater_is_better else -value


def get(name: str | None, task: TaskName) -> Metric:
    """The metric called `name`; None: the task's default.

    Raises:
        UserError: for a metric of the user's own that is not there.
    """
    name = name or METRICS[task][0]
    if ":" in name:
        return _own(name, task)
    if match := AT_K.fullmatch(name):
        return Metric(name, partial(_map_at, int(match[1])), "probabilities")
    return KNOWN[name]


def _own(name: str, task: TaskName) -> Metric:
    """A function of the user's: what goes wrong in it is told as theirs."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # whatever the user's module does when it is imported
        raise UserError(f"metric: {name} cannot be had: {_said(error)}") from None
    takes: Any = getattr(found, "takes", "probabilities")
    if not callable(found) or takes not in ("labels", "probabilities"):
        what = f"takes {takes!r}: neither labels nor probabilities"
        raise UserError(f"metric: {name} {what if callable(found) else 'is no function'}")

    def score(targets: np.ndarray, predicted: np.ndarray) -> float:
        try:
            return float(found(targets, predicted))
        except Exception as error:  # whatever the user's function raises
            shapes = f"targets {list(targets.shape)} and predictions {list(predicted.shape)}"
            raise UserError(f"metric: {name} fails for {shapes}: {_said(error)}") from None

    file = inspect.getsourcefile(inspect.unwrap(found))
    code = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    better = bool(getattr(found, "greater_is_better", True))
    if task == "regression":
        takes = "values"
    return Metric(name, score, takes, better, code)


def _said(error: Exception) -> str:
    """An exception with its place: "ValueError in own.py, line 3: …"."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}: {error}"


def _f1(average: str, targets: np.ndarray, labels: np.ndarray, **weights: Any) -> float:
    empty = 1.0 if average == "samples" else 0.0  # nothing there and nothing found
    return float(sk.f1_score(targets, labels, average=average, zero_division=empty, **weights))


def _balanced_accuracy(targets: np.ndarray, labels: np.ndarray, **weights: Any) -> float:
    """The mean recall of the classes that occur in `targets`."""
    present = np.unique(targets)
    return float(sk.recall_score(targets, labels, labels=present, average="macro", **weights))


def _log_loss(targets: np.ndarray, probabilities: np.ndarray) -> float:
    if targets.ndim == 1:
        return float(sk.log_loss(targets, probabilities, labels=np.arange(probabilities.shape[1])))
    pairs = zip(targets.T, probabilities.T, strict=True)
    return float(np.mean([sk.log_loss(wanted, found, labels=[0, 1]) for wanted, found in pairs]))


def _mean_of_columns(
    score: Callable[..., float], needs: int, targets: np.ndarray, probabilities: np.ndarray
) -> float:
    """The mean over the classes of a score of each against the rest. A class that does not occur,
    or where `needs` is 2 that all images are, has none; without any class there is no score: NaN.
    """
    scores = []
    for number, found in enumerate(probabilities.T):
        wanted = targets == number if targets.ndim == 1 else targets[:, number] > 0
        if wanted.any() and (needs == 1 or not wanted.all()):
            scores.append(score(wanted, found))
    return float(np.mean(scores)) if scores else np.nan


def _average_precision(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Of two classes that of the second, of more their mean."""
    if targets.ndim == 1 and probabilities.shape[1] == 2:
        targets, probabilities = targets[:, None], probabilities[:, 1:]
    return _mean_of_columns(sk.average_precision_score, 1, targets, probabilities)


def _map_at(k: int, targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean average precision of the `k` likeliest classes: of one label 1 / its rank.

    Source: the definition of Kaggle's competitions; an image without labels scores 0.
    """
    if targets.ndim == 1:
        mine = np.take_along_axis(probabilities, targets[:, None], axis=1)
        before = (probabilities == mine) & (np.arange(probabilities.shape[1]) < targets[:, None])
        rank = 1 + ((probabilities > mine) | before).sum(axis=1)
        return float(np.where(rank <= k, 1 / rank, 0).mean())
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(targets, best, axis=1)  # [N, k]
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    wanted = np.minimum(targets.sum(1), k).clip(min=1)
    return float(((precision * hits).sum(1) / wanted).mean())


def _kappa(
    targets: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Cohen's kappa, a mistake counting by the square of its distance: of numbers, so that a grade
    which does not occur keeps its place (scikit-learn counts the places of those that do).

    1 - (mean squared distance) / (that of targets and labels drawn independently).
    """
    known, found = np.rint(targets), np.rint(labels)
    known_mean, found_mean = (np.average(part, weights=sample_weight) for part in (known, found))
    spread = [
        np.average((part - mean) ** 2, weights=sample_weight)
        for part, mean in ((known, known_mean), (found, found_mean))
    ]
    chance = sum(spread) + (known_mean - found_mean) ** 2
    mistakes = np.average((known - found) ** 2, weights=sample_weight)
    return float(1 - mistakes / chance) if chance else 1.0


def _rmse(targets: np.ndarray, values: np.ndarray) -> float:
    return float(np.sqrt(sk.mean_squared_error(targets, values)))


def _matthews(targets: np.ndarray, labels: np.ndarray, **weights: Any) -> float:
    return float(sk.matthews_corrcoef(targets, labels, **weights))


def _accuracy(targets: np.ndarray, labels: np.ndarray) -> float:
    """Of several labels, the share of images with all of them right."""
    return float(sk.accuracy_score(targets, labels))


KNOWN: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, "labels"),
        Metric("balanced_accuracy", _balanced_accuracy, "labels"),
        *(
            Metric(f"{average}_f1", partial(_f1, average), "labels")
            for average in ("macro", "micro", "weighted", "samples")
        ),
        Metric("mcc", _matthews, "labels"),
        Metric("quadratic_weighted_kappa", _kappa, "labels"),
        Metric("log_loss", _log_loss, "probabilities", greater_is_better=False),
        Metric("roc_auc", partial(_mean_of_columns, sk.roc_auc_score, 2), "probabilities"),
        Metric("average_precision", _average_precision, "probabilities"),
        Metric("mae", sk.mean_absolute_error, "values", greater_is_better=False),
        Metric("rmse", _rmse, "values", greater_is_better=False),
        Metric("r2", sk.r2_score, "values"),
    )
}


def overview(task: Task, targets: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy, and macro precision, recall and F1 over the classes that occur in `targets` or
    among the `labels`; None each of task: regression.
    """
    names = ("accuracy", "precision", "recall", "f1")
    if task.name == "regression":
        return dict.fromkeys(names)
    each = sk.precision_recall_fscore_support(targets, labels, average="macro", zero_division=0.0)
    return dict(zip(names, (_accuracy(targets, labels), *map(float, each[:3])), strict=True))
