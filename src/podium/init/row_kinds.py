"""Recognize sample submissions with rows of two kinds, such as images and labels of studies."""

from collections.abc import Sequence

from podium.competition.text.names import NUMBER
from podium.core.errors import UserError
from podium.dataset.image_files import ImageIndex
from podium.init.survey import Table

SEPARATORS = ("__", "_", "-", " ", "|", ":", ".", "/")
MIN_ROWS = 2  # of a kind
MAX_TESTED = 100  # rows


def check(sample: Table, others: Sequence[Table], images: ImageIndex) -> None:
    """Check that the rows of a sample submission, whose first column is the id, are of one kind.

    Raises:
        UserError: if some ids are images or values of a column, and all others values of another
            column, or such values before the name of a label.
    """
    ids = sample.rows.iloc[:, 0].tolist()
    if all(map(NUMBER.fullmatch, ids)) or all(map(images.find, ids)):
        return  # numbers are values of many columns
    distinct = {*ids}
    values = _values(distinct, others)
    if any(distinct <= cells for cells in values.values()):
        return
    left, kinds = ids, list[tuple[str, list[str]]]()
    if rows := [name for name in left if images.find(name)]:
        of_all = [column for column, cells in values.items() if cells >= {*rows}]
        kinds.append((f"values of {of_all[0]}" if of_all else "image files", rows))
        left = [name for name in left if not images.find(name)]
    columns = sorted(values, key=lambda column: -sum(name in values[column] for name in ids))
    for column in columns:
        rows = [name for name in left if name in values[column]]
        if len(rows) >= MIN_ROWS and _is_related({*rows}, column, others, distinct, images):
            kinds.append((f"values of {column}", rows))
            left = [name for name in left if name not in values[column]]
    if not kinds or not all(_ends_with_label(name, values) for name in left):
        return
    if left:
        kinds.append(("values followed by a label", left))
    if len(kinds) == 1:
        return
    shown = " and ".join(f"{len(rows)} are {kind} ({rows[0]})" for kind, rows in kinds)
    raise UserError(
        f"{sample.name} has rows of {len(kinds)} kinds: {shown}. Podium predicts one kind per "
        "project. Split it: for each kind, a copy of the files whose sample submission has only "
        "these rows, and join the predictions to one submission."
    )


def _values(ids: set[str], tables: Sequence[Table]) -> dict[str, set[str]]:
    """The values of each column that are `ids`, or that ids start with before a column's name."""
    columns = dict.fromkeys(column for table in tables for column in table.columns)
    ends = tuple(f"{separator}{column}" for separator in SEPARATORS for column in columns)
    heads = {i.removesuffix(e) for i in ids if i.endswith(ends) for e in ends if i.endswith(e)}
    values = {column: set[str]() for column in columns}
    for table in tables:
        for column in table.columns:
            cells = table.rows[column]
            values[column].update(cells[cells.isin(ids | heads)])
    return values


def _is_related(
    ids: set[str], column: str, tables: Sequence[Table], others: set[str], images: ImageIndex
) -> bool:
    """Whether `ids`, values of a column, are those of groups of images: a table has images or
    `others` next to them, or folders are called so. Else it may list images that are missing.
    """
    for table in tables:
        if column in table.columns:
            rows = table.rows[table.rows[column].isin(ids)].drop(columns=column)[:MAX_TESTED]
            cells = {*rows.to_numpy().ravel()}
            if any(cell in others or images.find_exact(cell) for cell in cells - ids):
                return True
    return not ids.isdisjoint(part for name in images.names for part in name.split("/")[:-1])


def _ends_with_label(name: str, values: dict[str, set[str]]) -> bool:
    """Whether an id is a value of a column, a separator and the name of another column."""
    for separator in SEPARATORS:
        for column in values:
            head = name.removesuffix(f"{separator}{column}")
            if head != name and any(head in cells for cells in values.values()):
                return True
    return False
