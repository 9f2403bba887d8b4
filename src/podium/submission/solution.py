"""Score the submission, and each member's, on known test labels."""

from pathlib import Path

import pandas as pd

from podium.config.submission import Submission
from podium.core import csvs, paths
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
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
    task, sample = Task.submitted(prepared), prepared.csv("sample_submission.csv")
    submissions = {"ensemble": read(path, prepared)}
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
        )
    detected = SubmissionFormat.detect(sample, task, metric, options)
    labels = csvs.read(PATH)
    return {
        name: write.score(table, labels, task, submission_format=detected, metric=metric)
        for name, table in submissions.items()
    }


def read(path: Path, prepared: Manifest) -> pd.DataFrame:
    """A submission with the id as its first column."""
    return csvs.id_first(csvs.read(path), prepared.facts["id_place"])
