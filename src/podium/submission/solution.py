"""Score the submission, and each member's, on known test labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from podium.competition.text.names import NameIndex
from podium.config.submission import Submission
from podium.core import csvs, paths
from podium.core.errors import UserError, counted, examples
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
from podium.dataset.submission_file import SubmissionFile
from podium.prediction import predictions
from podium.scoring import target_scoring
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import target_formats, write
from podium.submission.formats import SubmissionFormat

PATH = paths.SOLUTION / "solution.csv"


class SubmissionScore(NamedTuple):
    """The score on known test labels."""

    score: float
    targets: dict[str, float] | None = None  # the score of each, if there are several


def test_scores(
    path: Path,
    members: list[str],
    *,
    prepared: Manifest,
    metric: Metric,
    options: Submission,
) -> dict[str, SubmissionScore] | None:
    """The scores of the submission at `path`, as `ensemble`, and of each member; None if the test
    labels are not known.

    Raises:
        UserError: if a file is damaged, or the solution does not fit the submission.
    """
    if not PATH.exists():
        return None
    task, rows = Task.submitted(prepared), prepared.csv("sample_submission.csv")
    file = SubmissionFile.read(prepared)
    sample = file.wide(rows, task.submitted_names)
    submissions = {"ensemble": file.wide(csvs.read(path), task.submitted_names)}
    for name in members:
        member = paths.ENSEMBLE / "members" / f"{name}.parquet"
        predicted = predictions.read(member, EnsembleProvenance)
        submissions[name] = write.fill(
            sample,
            *file.select(*predicted.table),
            task=task,
            rule=DecisionRule.of(predicted.provenance.decision),
            metric=metric,
            options=options,
            value_range=write.value_range(options, prepared),
        )
    labels = _one_row_per_image(csvs.read(PATH), rows, file, task)
    if task.parts:
        formats = target_formats.detect(sample, task, metric, options)
        return {
            name: _score_targets(table, labels, task, formats=formats, metric=metric)
            for name, table in submissions.items()
        }
    detected = SubmissionFormat.detect(sample, task, metric, options)
    scores = {
        name: write.score(table, labels, task, submission_format=detected, metric=metric)
        for name, table in submissions.items()
    }
    return {name: SubmissionScore(value) for name, value in scores.items()}


def _one_row_per_image(
    solution: pd.DataFrame, sample: pd.DataFrame, file: SubmissionFile, task: Task
) -> pd.DataFrame:
    """Reshape a solution with one row per image and label, like the submission, to one row per
    image; any other is returned unchanged. `sample` is as in its file.
    """
    names = [str(column) for column in file.predicted(sample).columns]
    if file.rows is None or not {*names} <= {*solution.columns}:
        return solution
    if not {*solution[names[0]]} <= {*file.rows["row"]}:
        return solution
    wide = file._replace(id_place=0, copied=()).wide(solution[names], task.submitted_names)
    if not task.parts and (lacking := wide.iloc[:, 0][(wide == "").any(axis=1)].tolist()):
        raise UserError(
            f"{counted(len(lacking), 'test image', 'does')} not have a row for each label in the "
            f"solution: {examples(lacking)}. With task: {task.name} such a submission cannot be "
            "scored here. Remove the solution."
        )
    return wide


def _score_targets(
    submission: pd.DataFrame,
    solution: pd.DataFrame,
    task: Task,
    *,
    formats: Mapping[str, SubmissionFormat],
    metric: Metric,
) -> SubmissionScore:
    """The score of each target, as `write.score`, of the images whose labels `solution` has and
    that the submission has a row for.

    Raises:
        UserError: as `write.score`; if the solution lacks a target.
    """
    scores, counts = dict[str, float](), dict[str, int]()
    index = NameIndex(map(str, solution.columns)).find(str(submission.columns[0]))
    ids = [str(column) for column in solution.columns].index(index or str(solution.columns[0]))
    solution = csvs.id_first(solution, ids)
    known = NameIndex(submission.iloc[:, 0], ignore_case=False)
    for part in task.parts:
        own = target_formats.own_columns(solution, part.name, what="the solution")
        submitted = target_formats.own_columns(submission, part.name)
        asked = {*submitted.loc[submitted.iloc[:, 1].astype(str) != "", submitted.columns[0]]}
        in_submission = own.iloc[:, 0].map(known.find)
        own = own[(own.iloc[:, 1].str.strip() != "") & in_submission.map(asked.__contains__)]
        labeled = {*in_submission[own.index]}
        if own.empty:
            raise UserError(f"the solution has no label of {part.name}. Add one, or remove it.")
        counts[part.name] = len(own)
        scores[part.name] = write.score(
            submitted[submitted.iloc[:, 0].isin(labeled)],
            own,
            part.task,
            submission_format=formats[part.name],
            metric=target_scoring.metric_of(metric, part),
        )
    return SubmissionScore(target_scoring.combine(task, metric, scores, counts), scores)
