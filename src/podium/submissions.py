"""From the ensemble's logits to a CSV in the sample submission's form."""

import numpy as np
import pandas as pd
from scipy.special import softmax

from podium import predictions
from podium.errors import UserError, examples
from podium.metrics import METRICS
from podium.predictions import Predictions
from podium.schema import MetricName


def make(sample: pd.DataFrame, predicted: Predictions, *, metric: MetricName) -> pd.DataFrame:
    """The submission: header, ids and order of `sample`, filled with predictions.

    The sample's columns say the form: one column a class holds probabilities; a single column
    holds the class, or, with two classes and a metric of probabilities, the second one's.

    Raises:
        UserError: if the predictions do not cover the sample's ids, or the form is another one.
    """
    classes = predicted.made_from["classes"]
    ids = sample.iloc[:, 0].tolist()
    logits = predictions.align([predicted], ids, source="the ensemble")  # [T, C]
    probabilities = softmax(logits.astype(np.float64), axis=1)
    columns = sample.columns[1:].tolist()
    filled = sample.iloc[:, :1].copy()
    if len(columns) > 1 and sorted(columns) == sorted(classes):
        for column in columns:
            filled[column] = probabilities[:, classes.index(column)]
    elif len(columns) == 1 and METRICS[metric].from_labels:
        filled[columns[0]] = np.array(classes)[probabilities.argmax(axis=1)]
    elif len(columns) == 1 and len(classes) == 2:
        filled[columns[0]] = probabilities[:, 1]
    else:
        raise UserError(
            f"the sample submission has the columns {', '.join(sample.columns)}: neither one label "
            f"(as {metric} would need) nor one column for each class: {', '.join(classes)}"
        )
    return filled


def probabilities_of(
    submission: pd.DataFrame, classes: list[str], *, metric: MetricName
) -> np.ndarray:
    """What a submission of one of the forms of `make` says: [T, C], in the order of its rows."""
    columns = submission.columns[1:].tolist()
    if len(columns) > 1:
        return submission[classes].to_numpy(dtype=np.float64)
    if METRICS[metric].from_labels:
        number = {name: index for index, name in enumerate(classes)}
        chosen = [number[label] for label in submission[columns[0]]]
        return np.eye(len(classes), dtype=np.float32)[chosen]
    second = submission[columns[0]].to_numpy(dtype=np.float64)
    return np.stack([1 - second, second], axis=1)


def score(
    submission: pd.DataFrame, solution: pd.DataFrame, classes: list[str], *, metric: MetricName
) -> float:
    """The metric of a submission against the test images' labels (id, label), by id.

    Raises:
        UserError: if the solution's ids are not the submission's, or a label is unknown.
    """
    if solution.shape[1] != 2:
        raise UserError(
            f"the solution must have two columns, id and label, not {', '.join(solution.columns)}"
        )
    ids = submission.iloc[:, 0].tolist()
    labels = dict(zip(solution.iloc[:, 0], solution.iloc[:, 1], strict=True))
    number = {name: index for index, name in enumerate(classes)}
    wrong = sorted(labels.keys() ^ set(ids))
    wrong += sorted(image for image, label in labels.items() if label not in number)
    if wrong or len(labels) < len(solution):
        raise UserError(
            "the solution does not fit: it must hold one row with a label of one of the classes "
            f"for each of the {len(ids)} test images; look at {examples(wrong) or 'double ids'}"
        )
    targets = np.array([number[labels[image]] for image in ids])
    return METRICS[metric].score(targets, probabilities_of(submission, classes, metric=metric))
