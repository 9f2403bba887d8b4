"""Recognize sample submissions with rows of two kinds, such as images and labels of studies."""

from collections.abc import Sequence

from podium.competition.text.names import NUMBER
from podium.core.errors import UserError
from podium.dataset.image_files import ImageIndex
from podium.init.survey import Table

SEPARATORS = ("__", "_", "-", " ", "|", ":", ".", "/")
MIN_ROWS = 2  # of a kind


def check(sample: Table, others: Sequence[Table], images: ImageIndex) -> None:
    """Check that the rows of a sample submission, whose first column is the id, are of one kind.

    Raises:
        UserError: if some ids are images or values of a column, and all others values of another
            column, or such values before the name of a label.
    """
    ids = sample.rows.iloc[:, 0].tolist()
    if all(map(NUMBER.fullmatch, ids)) or all(map(images.find, ids)):
        return  # numbers are values of many columns
    values: dict[str, set[str]] = {}
    for table in others:
        for column in table.columns:
            values.setdefault(column, set()).update(table.rows[column])
    distinct = {*ids}
    if any(distinct <= cells for cells in values.values()):
        return
    left, kinds = ids, list[tuple[str, list[str]]]()
    columns = sorted(values, key=lambda column: -sum(name in values[column] for name in ids))
    for column in columns:
        rows = [name for name in left if name in values[column]]
        if len(rows) >= MIN_ROWS:
            kinds.append((f"values of {column}", rows))
            left = [name for name in left if name not in values[column]]
    if rows := [name for name in left if images.find(name)]:
        kinds.append(("image files", rows))
        left = [name for name in left if not images.find(name)]
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


def _ends_with_label(name: str, values: dict[str, set[str]]) -> bool:
    """Whether an id is a value of a column, a separator and the name of another column."""
    for separator in SEPARATORS:
        for column in values:
            head = name.removesuffix(f"{separator}{column}")
            if head != name and any(head in cells for cells in values.values()):
                return True
    return False
