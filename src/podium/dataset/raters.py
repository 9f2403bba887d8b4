"""Combine the labels of several raters into one label per image."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from math import ceil

import pandas as pd

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.dataset import class_list
from podium.scoring.task import LABEL_SEPARATOR

Join = Callable[[Iterable[str]], str]


def join(raters: str, task: TaskName, classes: list[str]) -> Join | None:
    """The function that combines the labels of an image's rows (in their order) into one, in the
    form of `labels.read`, according to `prepare.raters`; None for `error`.

    Raises:
        UserError: if the task does not support it.
    """
    if (raters == "mean" and task != "regression") or (
        raters == "median" and task not in ("regression", "ordinal")
    ):
        raise UserError(
            f"prepare.raters: {raters} is not supported for task: {task}. Set it to first or "
            "majority."
        )
    joins: dict[str, Join] = {
        "first": lambda texts: next(iter(texts)),
        "majority": _most_frequent,
        "soft": _most_frequent,
        "mean": lambda texts: _per_target(texts, statistics.fmean),
        "median": lambda texts: _per_target(texts, statistics.median),
    }
    if raters == "soft" and task == "regression":
        raise UserError("prepare.raters: soft requires classes. Set it to mean or median.")
    if raters in ("majority", "soft") and task == "multilabel":
        return lambda texts: _in_half(texts, classes)
    if raters == "median" and task == "ordinal":
        return lambda texts: str(statistics.median_low(map(int, texts)))
    return joins.get(raters)


def join_units(train: pd.DataFrame, join: Join | None) -> pd.DataFrame:
    """Give all images of each unit, if there are units, the same label: that of all their rows."""
    if join is None or "unit" not in train:
        return train
    return train.assign(label=train.groupby("unit", sort=False)["label"].transform(join))


def shares(train: pd.DataFrame, task: TaskName) -> pd.Series:
    """The share of each class among the labels of an image's rows, or of those of its unit, as
    JSON: one per row.
    """

    def describe(texts: pd.Series) -> str:
        labels = [text.split(LABEL_SEPARATOR) if task == "multilabel" else [text] for text in texts]
        counts = Counter(label for row in labels for label in row if label or len(row) > 1)
        return json.dumps(
            {label: round(count / len(texts), 6) for label, count in sorted(counts.items())},
            ensure_ascii=False,
        )

    by = "unit" if "unit" in train else "id"
    described: pd.Series = train.groupby(by, sort=False)["label"].transform(describe)
    return described


def _most_frequent(texts: Iterable[str]) -> str:
    return Counter(texts).most_common(1)[0][0]  # the first of equally frequent ones


def _in_half(texts: Iterable[str], classes: list[str]) -> str:
    rows = [set(text.split(LABEL_SEPARATOR)) for text in texts]
    counts = Counter(label for row in rows for label in row)
    least = ceil(len(rows) / 2)
    return class_list.union((label for label in counts if counts[label] >= least), classes)


def _per_target(texts: Iterable[str], average: Callable[[list[float]], float]) -> str:
    texts = [*texts]
    if len({*texts}) == 1:  # rounding would change the mean
        return texts[0]
    rows = [[float(part) for part in text.split(LABEL_SEPARATOR)] for text in texts]
    return LABEL_SEPARATOR.join(str(average([*column])) for column in zip(*rows, strict=True))
