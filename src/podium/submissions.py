"""From the ensemble's logits to a CSV in the sample submission's form."""

import numpy as np
import pandas as pd

from podium import decisions, predictions
from podium.decisions import Decision
from podium.errors import UserError, examples
from podium.forms import Form
from podium.metrics import Metric
from podium.predictions import Predictions
from podium.problem import BETWEEN, Problem
from podium.schema import Submission


def make(
    sample: pd.DataFrame, predicted: Predictions, *, metric: Metric, options: Submission
) -> pd.DataFrame:
    """The submission: header, ids and order of `sample`, filled with predictions in its form.

    Raises:
        UserError: if the predictions do not cover the sample's ids, or the form is another one.
    """
    problem = Problem.of(predicted.made_from)
    form = Form.of(sample, problem, metric, options)
    if form.name == "probability":
        print(f"{form.columns[0]}: the probability of {problem.classes[form.place]}")
    shown = sorted(set(sample.iloc[:, 1]) - {"", *problem.classes})
    if options.form == "auto" and form.name == "label" and shown:
        print(
            f"warning: the sample submission holds {examples(shown)}, the submission the classes' "
            f"names, as {problem.classes[0]}: submission.form: number writes their places from 0"
        )
    ids = sample.iloc[:, 0].tolist()
    logits = predictions.align([predicted], ids, source="the ensemble")  # [T, C]
    decision = Decision.of(predicted.made_from)
    columns = form.fill(problem, metric, problem.probabilities(logits), decision)
    return pd.concat([sample.iloc[:, :1], pd.DataFrame(columns, index=sample.index)], axis=1)


def score(
    submission: pd.DataFrame,
    solution: pd.DataFrame,
    problem: Problem,
    *,
    form: Form,
    metric: Metric,
) -> float:
    """The metric of a submission against the test images' labels, by id: a table of id and label
    (several between the form's separators), or of id and one column a class, of 0 and 1.

    Raises:
        UserError: if the solution's ids are not the submission's, or a label is unknown.
    """
    labels = _labels(solution, problem, form)
    ids = submission.iloc[:, 0].tolist()
    wrong = sorted(labels.keys() ^ set(ids))
    targets = np.empty(0)
    try:
        targets = problem.targets([labels[image] for image in ids if image in labels])
    except (KeyError, ValueError) as error:
        wrong.append(str(error))
    if wrong or len(labels) < len(solution):
        raise UserError(
            "the solution does not fit: it must hold one row with a label of one of the classes "
            f"for each of the {len(ids)} test images; look at {examples(wrong) or 'double ids'}"
        )
    predicted = form.read(problem, submission)
    if metric.takes == "labels":
        found = decisions.labels(problem, predicted, Decision())
        return decisions.score_labels(problem, metric, targets, found)
    return decisions.score_predicted(problem, metric, targets, predicted)


def _labels(solution: pd.DataFrame, problem: Problem, form: Form) -> dict[str, str]:
    """The labels of the solution as our tables have them, by id."""
    ids, columns = solution.iloc[:, 0], solution.columns[1:].tolist()
    if len(columns) == 1:
        text = solution[columns[0]]
        if problem.task == "multilabel":
            text = text.str.replace(form.separator, BETWEEN, regex=False)
        return dict(zip(ids, text, strict=True))
    if sorted(columns) != sorted(problem.classes):
        raise UserError(
            "the solution must have two columns, id and label, or one a class beside the id, not "
            f"{', '.join(solution.columns)}"
        )
    hot = solution[problem.classes].to_numpy(dtype=np.float64) > 0.5
    names = np.array(problem.classes)
    return {image: BETWEEN.join(names[row]) for image, row in zip(ids, hot, strict=True)}
