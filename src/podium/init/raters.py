"""Detect images with different labels by several raters."""

import re
from collections.abc import Sequence

import pandas as pd

from podium.config.tasks import TaskName
from podium.init.guesses import Guess
from podium.init.sample import Sample, are_numbers

MIN_RATERS = 1.5  # mean number of rows per image


def have_raters(
    rows: pd.DataFrame, ids: str | None, columns: Sequence[str], sample: Sample | None
) -> bool:
    """Whether the rows of an image are from different raters, rather than one per label: most
    images have several rows, and some of these agree, or labels are fractions. Not if the sample
    submission has lists of labels.
    """
    if ids is None or len(rows) < MIN_RATERS * rows[ids].nunique():
        return False
    labels = rows[[ids, *columns]].drop_duplicates()
    if not labels[ids].duplicated().any():
        return False
    values = {value.strip() for value in rows[columns[0]]}
    parts = {part for cell in (sample.values if sample else []) for part in re.split(r"\W+", cell)}
    is_list = sample is not None and not {*sample.values} & values and len(parts & values) > 1
    are_fractions = are_numbers([*values]) and not all(float(v).is_integer() for v in values)
    return not is_list and (are_fractions or len(labels) < len(rows))


def guess_raters(task: TaskName) -> Guess:
    """How to combine different labels of the same image."""
    reason = "images have several rows with different labels, apparently by several raters"
    if task == "regression":
        return Guess("prepare.raters", "mean", "guess", reason, ("median", "first"))
    others = ("soft", "median", "first") if task == "ordinal" else ("soft", "first")
    return Guess("prepare.raters", "majority", "guess", reason, others)
