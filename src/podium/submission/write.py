"""Fill the sample submission with predictions, and score a submission against known labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from podium.competition.text import cell_lists
from podium.competition.text.names import NameIndex, normalize
from podium.config.submission import Submission
from podium.core.errors import UserError, counted, examples
from podium.core.manifest import Manifest
from podium.dataset import submission_file
from podium.prediction import predictions
from podium.scoring import decisions, target_scoring
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import LABEL_SEPARATOR, Task
from podium.submission import target_formats
from podium.submission.formats import SubmissionFormat

BOOLEANS = {"true": "1", "false": "0"}  # in a solution with one column per class


def fill(
    sample: pd.DataFrame,
    ids: list[str],
    logits: np.ndarray,
    *,
    task: Task,
    rule: DecisionRule,
    metric: Metric,
    options: Submission,
    value_range: Sequence[Sequence[float]] | None = None,
) -> pd.DataFrame:
    """Return the submission: header, ids and order of `sample`, values from the logits [N, C],
    numbers clipped to `value_range` [C, 2].

    Raises:
        UserError: if the logits do not cover the sample's ids, or the format cannot be detected.
    """
    if task.parts:
        return _fill_targets(
            sample, ids, logits, task=task, rule=rule, metric=metric, options=options
        )
    submission_format = SubmissionFormat.detect(sample, task, metric, options)
    binary = task.name == "binary"
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
    is_label = submission_format.name in ("label", "number")
    if options.format == "auto" and is_label and metric.inputs == "probabilities":
        hint = " For probabilities, set submission.format: probability." if binary else ""
        print(
            "warning: the sample submission contains labels, so labels are written, but the metric "
            f"{metric.name} scores probabilities. Check the competition's evaluation page.{hint}"
        )
    logits = predictions.align([(ids, logits)], sample.iloc[:, 0].tolist(), source="the ensemble")
    predicted = task.probabilities(logits)
    if value_range is not None:
        predicted = predicted.clip(*np.transpose(value_range))
    columns = submission_format.fill(task, metric, predicted, rule)
    return pd.concat([sample.iloc[:, :1], pd.DataFrame(columns, index=sample.index)], axis=1)


def _fill_targets(
    sample: pd.DataFrame,
    ids: list[str],
    logits: np.ndarray,
    *,
    task: Task,
    rule: DecisionRule,
    metric: Metric,
    options: Submission,
) -> pd.DataFrame:
    """The submission of several targets, each filled as a task of its own."""
    formats = target_formats.fixed(target_formats.detect(sample, task, metric, options))
    filled = [
        fill(
            target_formats.own_columns(sample, part.name),
            ids,
            logits[:, part.columns],
            task=part.task,
            rule=rule.targets[part.position] if rule.targets else DecisionRule(),
            metric=target_scoring.metric_of(metric, part),
            options=formats.of_target(part.name),
        )
        for part in task.parts
    ]
    columns = {
        str(sample.columns[place]): own.iloc[:, number]
        for part, own in zip(task.parts, filled, strict=True)
        for number, place in enumerate(submission_file.places_of(sample, part.name), 1)
    }
    return sample.assign(**columns)


def value_range(options: Submission, prepared: Manifest) -> Sequence[Sequence[float]] | None:
    """The range per target [C, 2] that `submission.clip` sets; None: no clipping. `prepared`
    contains the ranges of the training labels.
    """
    if options.clip == "auto-range":
        own: list[list[float]] = prepared.facts["label_range"]
        return own
    return None if options.clip is None else [options.clip] * len(prepared.facts["classes"])


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
    labels, ids = _labels(solution, task, submission, submission_format), submission.iloc[:, 0]
    problems = sorted(labels.keys() ^ set(ids))
    targets = np.empty(0)
    try:
        targets = task.targets([labels[image] for image in ids if image in labels])
    except (KeyError, ValueError) as error:
        problems.append(str(error.args[0]))  # a KeyError quotes its text
    if problems or len(labels) < len(solution):
        raise UserError(
            "the solution does not match the submission: it must have one row, with a known class, "
            f"for each of the {counted(len(ids), 'test image')}. Check "
            f"{examples(problems) or 'its ids'}."
        )
    predicted = submission_format.read(task, submission)
    if metric.inputs == "labels":
        predicted_labels = decisions.labels(task, predicted, DecisionRule())
        return decisions.score_labels(task, metric, targets, predicted_labels)
    return decisions.score_probabilities(task, metric, targets, predicted)


def _labels(
    solution: pd.DataFrame,
    task: Task,
    submission: pd.DataFrame,
    submission_format: SubmissionFormat,
) -> dict[str, str]:
    """The solution's labels by id, in the form that `Task.targets` takes. Ids and classes may be
    spelled differently than in the submission.

    Other columns are ignored if the solution has the submission's columns: an index, Kaggle's
    "Usage".
    """
    id_column, *columns = _columns(solution, task, submission)
    known = NameIndex(submission.iloc[:, 0], ignore_case=False)
    ids = [known.find(image) or image for image in solution.iloc[:, id_column]]
    if len(columns) == 1:
        separator = submission_format.lists.separator
        labels = _spelled(solution.iloc[:, columns[0]], task, separator)
        return dict(zip(ids, labels, strict=True))
    if task.name == "regression":
        numbers = solution.iloc[:, columns]
        joined = [LABEL_SEPARATOR.join(row) for row in numbers.itertuples(index=False)]
        return dict(zip(ids, joined, strict=True))
    indicators = _indicators(solution.iloc[:, columns])
    names = np.array(task.classes)
    return {
        image: LABEL_SEPARATOR.join(names[row]) for image, row in zip(ids, indicators, strict=True)
    }


def _columns(solution: pd.DataFrame, task: Task, submission: pd.DataFrame) -> list[int]:
    """The places of the solution's columns: of the id, and of the label or of each class.

    Raises:
        UserError: if there is neither one label nor one column per class.
    """
    header = [str(column) for column in solution.columns]
    index = NameIndex(header)
    ids = index.find(str(submission.columns[0])) or header[0]
    targets = [column for column in header if column != ids]
    if len(targets) != 1:
        submitted = [str(column) for column in submission.columns[1:]]
        found = index.find_all(task.classes) or index.find_all(submitted)
        if found is None or ids in found or len(found) not in (1, len(task.classes)):
            raise UserError(
                f"the solution has the columns {', '.join(header)}. Give it the columns id and "
                "label, or id and one per class."
            )
        targets = found
    return [header.index(column) for column in (ids, *targets)]


def _indicators(columns: pd.DataFrame) -> np.ndarray:
    """Whether each class is present, [N, C]: 1, 1.0 or True, or a share above 0.5."""
    present = columns.apply(lambda column: column.map(normalize).replace(BOOLEANS))
    try:
        return present.to_numpy(dtype=np.float64) > 0.5
    except ValueError as error:
        raise UserError(f"the solution's columns must contain 0 and 1: {error}.") from None


def _spelled(labels: pd.Series, task: Task, separator: str) -> list[str]:
    """A column of labels as `task` spells them; unknown ones as they are."""
    if task.name == "regression":
        return labels.tolist()
    known = NameIndex(task.classes)
    parts = {cell: [cell] for cell in labels.unique()}
    if task.name == "multilabel":
        parts = cell_lists.split(parts, separator)
    names = {
        cell: LABEL_SEPARATOR.join(known.find(label) or label for label in labels_of_cell)
        for cell, labels_of_cell in parts.items()
    }
    return [names[cell] for cell in labels]
