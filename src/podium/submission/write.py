"""From the ensemble's logits to a CSV in the sample submission's form."""

import numpy as np
import pandas as pd

from podium.config.submission import Submission
from podium.core.errors import UserError, examples
from podium.core.provenance import EnsembleProvenance
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import LABEL_SEPARATOR, Task
from podium.submission.formats import SubmissionFormat


def make_submission(
    sample: pd.DataFrame,
    predicted: Predictions[EnsembleProvenance],
    *,
    metric: Metric,
    options: Submission,
) -> pd.DataFrame:
    """`make` from predictions that carry their task and decision rule."""
    return make(
        sample,
        *predicted.table,
        task=Task.of(predicted.provenance),
        decision=DecisionRule(**predicted.provenance.decision),
        metric=metric,
        options=options,
    )


def make(
    sample: pd.DataFrame,
    ids: list[str],
    logits: np.ndarray,
    *,
    task: Task,
    decision: DecisionRule,
    metric: Metric,
    options: Submission,
) -> pd.DataFrame:
    """The submission: header, ids and order of `sample`, filled with predictions in its form.

    Raises:
        UserError: if the predictions do not cover the sample's ids, or the form is another one.
    """
    form = SubmissionFormat.detect(sample, task, metric, options)
    if form.name == "probability":
        print(f"{form.columns[0]}: the probability of {task.classes[form.place]}")
    shown = sorted(set(sample.iloc[:, 1]) - {"", *task.classes})
    if options.format == "auto" and form.name == "label" and shown:
        print(
            f"warning: the sample submission holds {examples(shown)}, the submission the classes' "
            f"names, as {task.classes[0]}: submission.format: number writes their places from 0"
        )
    logits = predictions.align([(ids, logits)], sample.iloc[:, 0].tolist(), source="the ensemble")
    columns = form.fill(task, metric, task.probabilities(logits), decision)
    return pd.concat([sample.iloc[:, :1], pd.DataFrame(columns, index=sample.index)], axis=1)


def score(
    submission: pd.DataFrame,
    solution: pd.DataFrame,
    task: Task,
    *,
    form: SubmissionFormat,
    metric: Metric,
) -> float:
    """The metric of a submission against the test images' labels, by id: a table of id and label
    (several between the form's separators), or of id and one column a class, of 0 and 1.

    Raises:
        UserError: if the solution's ids are not the submission's, or a label is unknown.
    """
    labels = _labels(solution, task, form)
    ids = submission.iloc[:, 0].tolist()
    wrong = sorted(labels.keys() ^ set(ids))
    targets = np.empty(0)
    try:
        targets = task.targets([labels[image] for image in ids if image in labels])
    except (KeyError, ValueError) as error:
        wrong.append(str(error))
    if wrong or len(labels) < len(solution):
        raise UserError(
            "the solution does not fit: it must hold one row with a label of one of the classes "
            f"for each of the {len(ids)} test images; look at {examples(wrong) or 'double ids'}"
        )
    predicted = form.read(task, submission)
    if metric.inputs == "labels":
        found = decisions.labels(task, predicted, DecisionRule())
        return decisions.score_labels(task, metric, targets, found)
    return decisions.score_probabilities(task, metric, targets, predicted)


def _labels(solution: pd.DataFrame, task: Task, form: SubmissionFormat) -> dict[str, str]:
    """The labels of the solution as our tables have them, by id."""
    ids, columns = solution.iloc[:, 0], solution.columns[1:].tolist()
    if len(columns) == 1:
        text = solution[columns[0]]
        if task.name == "multilabel":
            text = text.str.replace(form.separator, LABEL_SEPARATOR, regex=False)
        return dict(zip(ids, text, strict=True))
    if sorted(columns) != sorted(task.classes):
        raise UserError(
            "the solution must have two columns, id and label, or one a class beside the id, not "
            f"{', '.join(solution.columns)}"
        )
    hot = solution[task.classes].to_numpy(dtype=np.float64) > 0.5
    names = np.array(task.classes)
    return {image: LABEL_SEPARATOR.join(names[row]) for image, row in zip(ids, hot, strict=True)}
