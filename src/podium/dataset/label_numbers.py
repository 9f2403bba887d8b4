"""Labels that are numbers, but are not written as Python writes them."""

import pandas as pd

from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.dataset import numbers

NUMERIC = ("regression", "ordinal")


def plain(
    columns: pd.DataFrame, layout: Prepare, task: TaskName, name: str
) -> tuple[pd.DataFrame, list[str]]:
    """The label columns of the table `name`, with numbers as Python writes them: 125.5 for 125,5 or
    125.5 %. Returns them and warnings. Cells that are not numbers are left as they are.

    Raises:
        UserError: if commas may be decimal or separate thousands.
    """
    warnings = list[str]()
    for column in columns.columns:
        cells = columns[column].unique()
        if layout.target_tasks.get(str(column), task) not in NUMERIC:
            continue
        if (found := numbers.read(cells)) is None:
            continue
        changed = {cell: text for cell, text in found.plain.items() if text != cell.strip()}
        if not changed:
            continue
        if found.is_ambiguous:
            raise UserError(
                f"{name}: the commas in {column} may be decimal or separate thousands: "
                f"{examples([*changed], 3)}. Write the numbers without commas, in a copy of the "
                "files, and set competition.source to it."
            )
        columns = columns.assign(
            **{column: columns[column].map({cell: cell for cell in cells} | changed)}
        )
        cell, text = next(iter(changed.items()))
        warnings.append(f"{name}: numbers in {column} such as {cell!r} are read as {text}")
    return columns, warnings
