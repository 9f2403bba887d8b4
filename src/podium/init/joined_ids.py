"""Recognize images whose paths are made of several columns: HEPG2-01/Plate1/B02_s1_w1.png."""

import re
from collections.abc import Sequence

from podium.core.errors import UserError, examples
from podium.init.survey import Table

TESTED_ROWS = 20
MAX_TESTED_COLUMNS = 12


def check(table: Table, images: Sequence[str]) -> None:
    """Check that the values of several columns do not identify images only together.

    Raises:
        UserError: if they do.
    """
    if table.pixels is not None:
        return
    rows = table.rows.iloc[:: max(1, len(table.rows) // TESTED_ROWS)][:TESTED_ROWS]
    columns = table.columns[:MAX_TESTED_COLUMNS]
    columns = [c for c in columns if rows[c].str.contains("[A-Za-z0-9]").all()]
    # Those with the most values leave the fewest images.
    columns.sort(key=lambda column: -table.rows[column].nunique())
    of_rows, joined = [[*images]] * len(rows), list[str]()
    for column in columns:
        cells = rows[column].str.strip().tolist()
        left = [_with(cell, names) for cell, names in zip(cells, of_rows, strict=True)]
        if all(left):
            of_rows, joined = left, [*joined, column]
    if len(joined) < 2 or table.rows[joined].duplicated().any():
        return
    joined.sort(key=table.columns.index)
    ids = next((c for c in table.columns if table.rows[c].is_unique), None)
    name = "_".join(rows.iloc[0][joined]) if ids is None else rows.iloc[0][ids]
    example, suffix = of_rows[0][0], of_rows[0][0].rpartition(".")[2]
    raise UserError(
        f"{table.name}: no column identifies image files, but {examples(joined)} do so together: "
        f"{', '.join(rows.iloc[0][joined])} is in {example}. Rename the images after one column, "
        f"such as {name}.{suffix}, or {name}_1.{suffix}, {name}_2.{suffix}, … for several per row."
    )


def _with(text: str, names: Sequence[str]) -> list[str]:
    """The paths with `text` as a part between separators, perhaps after a word (1 in Plate1)."""
    pattern = re.compile(rf"(?:^|[/_\-. ])[A-Za-z]*{re.escape(text)}(?=[/_\-. ])")
    return [name for name in names if text in name and pattern.search(name)]
