"""Tables of the report about classes, mistakes and errors; all of out-of-fold predictions."""

from collections import Counter

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from podium.core.console import number
from podium.submission.text_tables import Markup, Rows

MAX_MISTAKES = 10
RANGES = 5  # into which the numbers of a regression are split


def classes(actual: np.ndarray, predicted: np.ndarray, classes: list[str], noun: str) -> Rows:
    """Precision, recall and F1 per class, of targets as `Task.targets` returns them, each of a
    `noun`.
    """
    per_class = sk.precision_recall_fscore_support(
        actual, predicted, labels=range(len(classes)), zero_division=0.0
    )
    means = sk.precision_recall_fscore_support(  # over the classes that occur or are predicted
        actual, predicted, zero_division=0.0, average="macro"
    )
    return [
        ["class", f"{noun}s", "precision", "recall", "F1"],
        *(
            [name, str(support), *(f"{score:.4f}" for score in scores)]
            for name, *scores, support in zip(classes, *per_class, strict=True)
        ),
        [Markup("**mean**"), str(len(actual)), *(f"{score:.4f}" for score in means[:3])],
    ]


def errors(oof: pd.DataFrame, noun: str) -> Rows:
    """The errors of a regression, in all and by range of the actual values."""
    ranges = pd.qcut(oof["actual"].rank(method="first"), min(RANGES, len(oof)), labels=False)
    parts = [("all", oof)]
    for _, part in oof.groupby(ranges):
        parts.append((" to ".join(map(number, (part["actual"].min(), part["actual"].max()))), part))
    rows = [["actual", f"{noun}s", "mean", "mean predicted", "MAE", "RMSE"]]
    for name, part in parts:
        pair = part["actual"], part["predicted"]
        values = [*(column.mean() for column in pair), sk.mean_absolute_error(*pair)]
        values.append(sk.root_mean_squared_error(*pair))
        rows.append([name, str(len(part)), *map(number, values)])
    return rows


def largest_errors(oof: pd.DataFrame) -> Rows:
    """The images with the largest errors of a regression."""
    errors = (oof["actual"] - oof["predicted"]).abs()
    largest = oof.loc[errors.nlargest(MAX_MISTAKES).index]
    return [
        ["id", "actual", "predicted"],
        *(
            [row["id"], number(row["actual"]), number(row["predicted"])]
            for _, row in largest.iterrows()
        ),
    ]


def confusion_matrix(oof: pd.DataFrame, classes: list[str]) -> Rows:
    """The number of rows by actual and predicted class."""
    matrix = sk.confusion_matrix(oof["actual"], oof["predicted"], labels=classes)
    return [
        ["actual \\ predicted", *classes],
        *([name, *map(str, counts)] for name, counts in zip(classes, matrix, strict=True)),
    ]


def mistakes(oof: pd.DataFrame, noun: str) -> Rows:
    """The pairs of classes that are confused most often."""
    wrong = oof[oof["actual"] != oof["predicted"]]
    pairs = Counter(zip(wrong["actual"], wrong["predicted"], strict=True))
    frequent = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MAX_MISTAKES]
    return [
        ["actual", "predicted", f"{noun}s"],
        *([actual, predicted, str(count)] for (actual, predicted), count in frequent),
    ]
