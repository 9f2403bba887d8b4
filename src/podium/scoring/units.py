"""Predictions of units, each a row of the submission, from those of their images."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax

from podium.core import files
from podium.core.errors import UserError
from podium.core.provenance import Averaging
from podium.scoring import decisions
from podium.scoring.task import Task

How = Literal["mean", "max"]


AGGREGATE = "aggregate"  # in data/metric.json


class Units(NamedTuple):
    """Which images belong together, and how their predictions are combined."""

    images: pd.DataFrame  # unit
    how: How = "mean"

    @classmethod
    def of(cls, images: pd.DataFrame, how: How) -> "Units | None":
        """The units of a table of images; None if each image is one."""
        return cls(images[["unit"]], how) if "unit" in images else None

    def combine(
        self, task: Task, targets: np.ndarray, logits: np.ndarray, averaging: Averaging
    ) -> tuple[np.ndarray, np.ndarray]:
        """The targets and the logits of the units, from those of the images."""
        first = ~self.images["unit"].duplicated().to_numpy()
        return targets[first], aggregate(task, logits, self.images, self.how, averaging)


def facts(how: How) -> dict[str, Any]:
    """What data/metric.json contains in a project with units, besides the metric."""
    return {} if how == "mean" else {AGGREGATE: how}


def read_how(path: Path) -> How:
    """`ensemble.aggregate` as the stage check wrote it to data/metric.json (`path`).

    Raises:
        UserError: if the file is missing or not valid JSON.
    """
    if not path.exists():
        raise UserError(f"{path} not found. Run `dvc repro check`, which writes it.")
    how: How = files.read_json(path).get(AGGREGATE, "mean")
    return how


def table(images: pd.DataFrame) -> pd.DataFrame:
    """One row per unit of a table of images, in the order of their first images; the unit becomes
    the id. Without a column `unit`, the table itself.
    """
    if "unit" not in images:
        return images
    units = images.drop_duplicates("unit", ignore_index=True)
    return units.assign(id=units["unit"])


def metadata(images: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """The row of `columns` (by image id) for each unit: that of its first image."""
    first = images.drop_duplicates("unit") if "unit" in images else images
    return columns.loc[first["id"]]


def aggregate(
    task: Task, logits: np.ndarray, images: pd.DataFrame, how: How, averaging: Averaging
) -> np.ndarray:
    """Combine the logits [N, C] of the `images` of each unit: [U, C], in the order of `table`.

    `mean` averages logits, or probabilities if `averaging` says so. `max` is the highest number, or
    the highest probability of each label or class; of two classes, or of ordinal ones, the logits
    of the image whose expected class is the highest.
    """
    if "unit" not in images or not len(images):
        return logits
    codes, _ = pd.factorize(images["unit"])
    if how == "max" and task.name in ("binary", "ordinal"):
        rating = decisions.expected_index(softmax(logits.astype(np.float64), axis=1))
        highest = pd.Series(rating).groupby(codes).idxmax()
        return logits[highest.to_numpy()]
    values = logits.astype(np.float64)
    if how == "max":
        values = log_softmax(values, axis=1) if task.name == "multiclass" else values
        best: np.ndarray = pd.DataFrame(values).groupby(codes).max().to_numpy(np.float32)
        return best
    if averaging == "probabilities":
        means = pd.DataFrame(softmax(values, axis=1)).groupby(codes).mean().to_numpy()
        return np.log(means).astype(np.float32)
    mean: np.ndarray = pd.DataFrame(values).groupby(codes).mean().to_numpy(np.float32)
    return mean
