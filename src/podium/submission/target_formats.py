"""The submission of several targets: a column for each, in a format of its own."""

import pandas as pd

from podium.competition.text.names import NameIndex
from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.scoring import target_scoring
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat


def own_columns(table: pd.DataFrame, name: str, *, what: str = "the submission") -> pd.DataFrame:
    """The ids, which come first, and the column of a target.

    Raises:
        UserError: if there is no such column.
    """
    columns = [str(column) for column in table.columns]
    found = NameIndex(columns[1:]).find(name)
    if found is None:
        raise UserError(f"{what} has no column {name}; it has {', '.join(columns)}. Add it.")
    return table.iloc[:, [0, 1 + columns[1:].index(found)]]


def detect(
    sample: pd.DataFrame, task: Task, metric: Metric, options: Submission
) -> dict[str, SubmissionFormat]:
    """The format of each target's column.

    Raises:
        UserError: as `SubmissionFormat.detect`, and if a target would need several columns.
    """
    formats = {}
    for part in task.parts:
        formats[part.name] = found = SubmissionFormat.detect(
            own_columns(sample, part.name),
            part.task,
            target_scoring.metric_of(metric, part),
            options.of_target(part.name),
        )
        if found.name == "columns":
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
