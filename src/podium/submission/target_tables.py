"""Tables of the report about several targets."""

from typing import Any

import pandas as pd

from podium.core.console import score
from podium.scoring.task import LABEL_SEPARATOR, Task
from podium.submission.text_tables import Rows


def scores(summary: dict[str, Any]) -> Rows:
    """The score of each target, by member. `summary` is metrics/ensemble.json; each target of the
    ensemble may also have the score `test` on known test labels.
    """
    members = {**summary["members"], "ensemble": summary["ensemble"]}
    if len(summary["members"]) == 1:
        members = {"out of fold": summary["ensemble"]}
    targets = summary["ensemble"]["targets"]
    has_test = any("test" in target for target in targets.values())
    rows = [["target", "metric", "weight", *members, *["test"] * has_test]]
    for name, target in targets.items():
        values = [member["targets"][name]["oof"] for member in members.values()]
        values += [target["test"]] if has_test else []
        cells = [*map(score, values)]
        rows.append([name, target["metric"], f"{target['weight']:g}", *cells])
    return rows


def part(oof: pd.DataFrame, task: Task, name: str) -> tuple[pd.DataFrame, Task]:
    """The rows of out-of-fold predictions (columns actual and predicted) that have a label of a
    target, with its labels only; and its task.
    """
    target = next(part for part in task.parts if part.name == name)
    own = {
        column: oof[column].str.split(LABEL_SEPARATOR, regex=False).str[target.position]
        for column in ("actual", "predicted")
    }
    oof = oof.assign(**own)
    return oof[oof["actual"] != ""].reset_index(drop=True), target.task
