"""The submission of several targets: the columns of each, in a format of its own."""

import pandas as pd

from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.dataset import submission_file
from podium.scoring import target_scoring
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat


def own_columns(table: pd.DataFrame, name: str, *, what: str = "the submission") -> pd.DataFrame:
    """The ids, which come first, and the column of a target, or its columns, one per class.

    Raises:
        UserError: if there is none.
    """
    own = submission_file.columns_of(table, name)
    if own.shape[1] == 1:
        columns = ", ".join(map(str, table.columns))
        raise UserError(f"{what} has no column {name}; it has {columns}. Add it.")
    return own


def detect(
    sample: pd.DataFrame, task: Task, metric: Metric, options: Submission
) -> dict[str, SubmissionFormat]:
    """The format of each target's column.

    Raises:
        UserError: as `SubmissionFormat.detect`, and if a target would need several columns.
    """
    formats = {}
    for part in task.parts:
        own = own_columns(sample, part.name)
        formats[part.name] = found = SubmissionFormat.detect(
            own,
            part.task,
            target_scoring.metric_of(metric, part),
            options.of_target(part.name),
        )
        if found.name == "columns" and own.shape[1] == len(("id", "label")):
            raise UserError(
                f"submission.format: the target {part.name} has one column, but its metric "
                f"{target_scoring.metric_of(metric, part).name} needs one per class. Set "
                f"submission.format: {{{part.name}: label}}, or another metric."
            )
    return formats


def fixed(formats: dict[str, SubmissionFormat]) -> Submission:
    """The section `submission` with which nothing is left to be detected."""
    names = {target: found.name for target, found in formats.items()}
    top = [found.top for found in formats.values() if found.name == "top_k"]
    separators = [
        found.lists.separator
        for found in formats.values()
        if found.name in ("labels", "top_k", "confidence")
    ]
    options = {"format": names, "top": max(top, default=None)}
    return Submission.model_validate({**options, "separator": next(iter(separators), None)})
