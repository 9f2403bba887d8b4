"""Score the submission, and each member's, on known test labels."""

from pathlib import Path

import pandas as pd

from podium.config.submission import Submission
from podium.core import csvs, paths
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
from podium.dataset import submission_file
from podium.dataset.submission_file import SubmissionFile
from podium.prediction import predictions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

PATH = paths.SOLUTION / "solution.csv"


def test_scores(
    path: Path,
    members: list[str],
    *,
    prepared: Manifest,
    metric: Metric,
    options: Submission,
) -> dict[str, float] | None:
    """The scores of the submission at `path`, as `ensemble`, and of each member; None if the test
    labels are not known.

    Raises:
        UserError: if a file is damaged, or the solution does not fit the submission.
    """
    if not PATH.exists():
        return None
    task, rows = Task.submitted(prepared), prepared.csv("sample_submission.csv")
    file = SubmissionFile(**prepared.facts["submission_file"])
    sample = file.wide(rows, task.classes)
    submissions = {"ensemble": file.wide(csvs.read(path), task.classes)}
    for name in members:
        member = paths.ENSEMBLE / "members" / f"{name}.parquet"
        predicted = predictions.read(member, EnsembleProvenance)
        submissions[name] = write.fill(
            sample,
            *predicted.table,
            task=task,
            rule=DecisionRule(**predicted.provenance.decision),
            metric=metric,
            options=options,
            value_range=write.value_range(options, prepared),
        )
    detected = SubmissionFormat.detect(sample, task, metric, options)
    labels = _one_row_per_image(csvs.read(PATH), rows, file, task)
    return {
        name: write.score(table, labels, task, submission_format=detected, metric=metric)
        for name, table in submissions.items()
    }


def _one_row_per_image(
    solution: pd.DataFrame, sample: pd.DataFrame, file: SubmissionFile, task: Task
) -> pd.DataFrame:
    """Reshape a solution with one row per image and label, like the submission, to one row per
    image; any other is returned unchanged. `sample` is as in its file.
    """
    names = [str(sample.columns[file.id_place]), str(file.predicted(sample).columns[1])]
    if file.separator is None or not {*names} <= {*solution.columns}:
        return solution
    ids, values = solution[names[0]].tolist(), solution[names[1]]
    if any(submission_file.split(image, {*task.classes}, file.separator) is None for image in ids):
        return solution
    return submission_file.pivot(ids, values, file.separator, task.classes, name=names[0])
