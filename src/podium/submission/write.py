"""Fill the sample submission with predictions, and score a submission against known labels."""

import numpy as np
import pandas as pd

from podium.config.submission import Submission
from podium.core.errors import UserError, examples
from podium.prediction import predictions
from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import LABEL_SEPARATOR, Task
from podium.submission.formats import SubmissionFormat


def fill(
    sample: pd.DataFrame,
    ids: list[str],
    logits: np.ndarray,
    *,
    task: Task,
    rule: DecisionRule,
    metric: Metric,
    options: Submission,
) -> pd.DataFrame:
    """Return the submission: header, ids and order of `sample`, values from the logits [N, C].

    Raises:
        UserError: if the logits do not cover the sample's ids, or the format cannot be detected.
    """
    submission_format = SubmissionFormat.detect(sample, task, metric, options)
    if submission_format.name == "probability":
        label = task.classes[submission_format.class_index]
        print(f"column {submission_format.columns[0]}: the probability of class {label}")
    unknown = sorted(set(sample.iloc[:, 1]) - {"", *task.classes})
    if options.format == "auto" and submission_format.name == "label" and unknown:
        print(
            f"warning: the sample submission contains {examples(unknown)}, but class names such as "
            f"{task.classes[0]} are written. For their indices, counted from 0, set "
            "submission.format: number."
        )
    logits = predictions.align([(ids, logits)], sample.iloc[:, 0].tolist(), source="the ensemble")
    columns = submission_format.fill(task, metric, task.probabilities(logits), rule)
    return pd.concat([sample.iloc[:, :1], pd.DataFrame(columns, index=sample.index)], axis=1)


def score(
    submission: pd.DataFrame,
    solution: pd.DataFrame,
    task: Task,
    *,
    submission_format: SubmissionFormat,
    metric: Metric,
) -> float:
    """Score a submission against the test images' labels, matched by id.

    `solution` has the columns id and label (several labels with the format's separator), or id and
    one 0/1 column per class.

    Raises:
        UserError: if the ids differ from the submission's, or a label is unknown.
    """
    labels = _labels(solution, task, submission_format)
    ids = submission.iloc[:, 0].tolist()
    problems = sorted(labels.keys() ^ set(ids))
    targets = np.empty(0)
    try:
        targets = task.targets([labels[image] for image in ids if image in labels])
    except (KeyError, ValueError) as error:
        problems.append(str(error.args[0]))  # a KeyError quotes its text
    if problems or len(labels) < len(solution):
        raise UserError(
            "the solution does not match the submission: it must have one row, with a known class, "
            f"for each of the {len(ids)} test images. Check {examples(problems) or 'its ids'}."
        )
    predicted = submission_format.read(task, submission)
    if metric.inputs == "labels":
        predicted_labels = decisions.labels(task, predicted, DecisionRule())
        return decisions.score_labels(task, metric, targets, predicted_labels)
    return decisions.score_probabilities(task, metric, targets, predicted)


def _labels(
    solution: pd.DataFrame, task: Task, submission_format: SubmissionFormat
) -> dict[str, str]:
    """The solution's labels by id, in the form that `Task.targets` takes."""
    ids, columns = solution.iloc[:, 0], solution.columns[1:].tolist()
    if len(columns) == 1:
        labels = solution[columns[0]]
        if task.name == "multilabel":
            separator = submission_format.separator
            labels = labels.str.replace(separator, LABEL_SEPARATOR, regex=False)
        return dict(zip(ids, labels, strict=True))
    if sorted(columns) != sorted(task.classes):
        raise UserError(
            f"the solution has the columns {', '.join(solution.columns)}. Give it the columns id "
            "and label, or id and one per class."
        )
    indicators = solution[task.classes].to_numpy(dtype=np.float64) > 0.5
    names = np.array(task.classes)
    return {
        image: LABEL_SEPARATOR.join(names[row]) for image, row in zip(ids, indicators, strict=True)
    }
