"""Checks on the rows of a table: every row has an id, and every id one row."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from podium.competition.text.names import is_hidden
from podium.core.errors import UserError, counted, examples

LABEL = "label "  # prefix of unread label columns
LINE_BREAK = re.compile("[\r\n\0]")


@dataclass(frozen=True)
class Location:
    """Where labels come from, for messages."""

    name: str  # the table's or folder's
    ids: Sequence[str]
    has_rows: bool = True  # False: the images of a folder
    rows: Sequence[int] | None = None  # of the table, if only some of them are read

    def part(self, rows: Sequence[int]) -> "Location":
        """The location of some of the rows."""
        return replace(self, ids=[self.ids[row] for row in rows], rows=rows)

    def describe(self, rows: Iterable[int], values: Sequence[str] | Mapping[int, str] = ()) -> str:
        """List the first `rows`: id, row of the file (the header is row 1), and value."""
        rows = [*rows]
        parts = list[str]()
        for row in rows[:5]:
            number = row if self.rows is None else self.rows[row]
            details = [f"row {number + 2}"] if self.has_rows else []
            if values:
                details.append(repr(values[row]))
            parts.append(f"{self.ids[row]} ({': '.join(details)})" if details else self.ids[row])
        return examples([*parts, *rows[5:]])


def check_ids(table: pd.DataFrame, name: str, hint: str = "") -> None:
    """Check that the table called `name` has rows, each with an id.

    Raises:
        UserError: if not (`hint` follows what to do), or if an id contains a line break.
    """
    if table.empty:
        raise UserError(f"{name} has no rows. Restore the complete file.")
    empty = (table["id"].str.strip() == "").to_numpy().nonzero()[0].tolist()
    if empty:
        where = examples([f"row {row + 2}" for row in empty])
        problem = f"{name}: {counted(len(empty), 'row')} without an id: {where}"
        raise UserError(f"{problem}. Remove {'it' if len(empty) == 1 else 'them'}{hint}.")
    check_lines(table["id"], name, "id")


def name_blank(ids: pd.Series, row_ids: pd.Series | None, name: str) -> pd.Series:
    """Give rows of the table called `name` whose id is empty, since they have no image, another id:
    their value in `row_ids`, or their number if there is none or it is not unique. No file has such
    a name: the image 7.jpg is not that of row 7.
    """
    blank = ids.str.strip() == ""
    if not blank.any():
        return ids
    rows = pd.Series([f"{name} row {row + 2}" for row in range(len(ids))], ids.index)
    if row_ids is not None:
        is_known = row_ids.isin({*ids, ""}) | row_ids.duplicated(keep=False)
        rows = (row_ids + " (no image)").mask(is_known, rows)
    return ids.mask(blank, rows)


def drop_hidden(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """Leave out rows whose id is the name of a hidden file (.DS_Store, Thumbs.db), which a program
    that listed a folder took for an image. Returns a warning if there are any.
    """
    hidden = table["id"].map(is_hidden)
    if not hidden.any():
        return table, []
    shown = examples(table["id"][hidden].tolist())
    warning = f"{name}: dropped {counted(int(hidden.sum()), 'row')} of hidden files: {shown}"
    return table[~hidden].reset_index(drop=True), [warning]


def drop_unlabeled(
    table: pd.DataFrame, name: str, *, all_empty: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """Drop rows with an empty cell in a label column, or with `all_empty` in all of them. Returns
    the table, and a warning if rows were dropped.

    Raises:
        UserError: if no row has a label.
    """
    labels = table[[column for column in table.columns if str(column).startswith(LABEL)]]
    empty_cells = labels.apply(lambda column: column.str.strip() == "")
    is_empty = empty_cells.all(axis=1) if all_empty else empty_cells.any(axis=1)
    if not is_empty.any():
        return table, []
    if is_empty.all():
        raise UserError(f"{name}: no row has a label. Set prepare.label_column.")
    shown = examples(table["id"][is_empty].tolist())
    warning = f"{name}: dropped {counted(int(is_empty.sum()), 'row')} without a label: {shown}"
    return table[~is_empty].reset_index(drop=True), [warning]


def check_lines(texts: pd.Series, name: str, what: str) -> None:
    """Check that no text has several lines: Podium's own tables have one line per row.

    Raises:
        UserError: if one has.
    """
    if wrong := texts[texts.str.contains(LINE_BREAK)].tolist():
        shown = examples([repr(text) for text in wrong])
        raise UserError(
            f"{name}: {counted(len(wrong), what, 'contains')} a line break: {shown}. Remove it."
        )


def check_unique(ids: pd.Series, name: str, hint: str = "Remove all but one row of each.") -> None:
    """Check that no id has several rows.

    Raises:
        UserError: if one has; `hint` says what to do.
    """
    if repeated := ids[ids.duplicated()].unique().tolist():
        raise UserError(
            f"{name}: {counted(len(repeated), 'duplicate id')}: {examples(repeated)}. {hint}"
        )


def deduplicate(
    table: pd.DataFrame, location: Location, join: Callable[[Iterable[str]], str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Keep one row per id, and return warnings about ids with several. `join` makes one label of
    the labels of several rows; without it they must be equal.

    Raises:
        UserError: if an id has several labels, or groups.
    """
    repeated = table["id"].duplicated(keep=False)
    if not repeated.any():
        return table, []
    by_id = table[repeated].groupby("id", sort=False)
    for column in table.columns.difference(["id"] if join is None else ["id", "label"]):
        counts = by_id[column].nunique()
        if different := counts[counts > 1].index.tolist():
            parts = []
            for image in different[:5]:
                group = by_id.get_group(image)
                lines = zip(group.index.tolist(), group[column], strict=True)
                shown = examples([f"row {row + 2}: {value}" for row, value in lines])
                parts.append(f"{image} ({shown})")
            hint = ""
            if column == "label":
                hint = (
                    ", set prepare.raters (majority or mean for several raters), or task: "
                    "multilabel if an image may have several"
                )
            raise UserError(
                f"{location.name}: {counted(len(different), 'id', 'has')} rows with "
                f"different {column}s: "
                f"{examples([*parts, *different[5:]])}. Remove the wrong rows{hint}."
            )
    shown = examples([*by_id.groups])
    what = f"dropped duplicate rows for {counted(by_id.ngroups, 'id')}"
    if join is not None:
        what = f"joined the labels of {counted(by_id.ngroups, 'duplicate id')}"
        joined = by_id["label"].agg(join)
        table = table.assign(label=table["id"].map(joined).fillna(table["label"]))
    warnings = [f"{location.name}: {what}: {shown}"]
    return table.drop_duplicates("id", ignore_index=True), warnings
