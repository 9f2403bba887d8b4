"""Rows of tables: where they stand, that each has an id, and each id one of them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from podium.core.errors import UserError, examples

LINE_BREAK = re.compile("[\r\n\0]")


@dataclass(frozen=True)
class Source:
    """Where labels stand, for messages about them."""

    name: str  # of the table
    ids: Sequence[str]
    has_rows: bool = True  # else they are the names of folders

    def at(self, places: Iterable[int], what: Sequence[str] | Mapping[int, str] = ()) -> str:
        """The first few of the images at `places`, with their rows in the file, the header being
        row 1, and with `what` stands there.
        """
        found = [*places]
        shown = list[str]()
        for place in found[:5]:
            row = f"row {place + 2}" if self.has_rows else ""
            text = repr(what[place]) if what else ""
            inner = ": ".join(part for part in (row, text) if part)
            shown.append(f"{self.ids[place]} ({inner})" if inner else self.ids[place])
        return examples([*shown, *found[5:]])


def check_ids(table: pd.DataFrame, name: str) -> None:
    """Whether a table, which messages call `name`, has rows, and each of them an id.

    Raises:
        UserError: if not, or if an id holds a line break.
    """
    if table.empty:
        raise UserError(f"{name} has no rows")
    empty = (table["id"].str.strip() == "").to_numpy().nonzero()[0].tolist()
    if empty:
        where = examples([f"row {place + 2}" for place in empty])
        raise UserError(f"{name}: {len(empty)} rows have no id: {where}")
    check_lines(table["id"], name, "ids")


def check_lines(texts: pd.Series, name: str, what: str) -> None:
    """Whether no text has several lines: our own tables have a line a row.

    Raises:
        UserError: if one has.
    """
    if wrong := texts[texts.str.contains(LINE_BREAK)].tolist():
        shown = examples([repr(text) for text in wrong])
        raise UserError(f"{name}: {len(wrong)} {what} hold a line break: {shown}; take it out")


def check_unique(ids: pd.Series, name: str, hint: str = "") -> None:
    """Whether no id stands in two rows.

    Raises:
        UserError: if one does; `hint` says what to do.
    """
    if again := ids[ids.duplicated()].unique().tolist():
        raise UserError(f"{name}: {len(again)} ids stand in several rows: {examples(again)}{hint}")


def each_once(
    table: pd.DataFrame, source: Source, join: Callable[[Iterable[str]], str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """One row an id, and notes on those that stood in several. With `join`, which makes one label
    of several, their labels may differ.

    Raises:
        UserError: if an id has several labels, or groups.
    """
    again = table["id"].duplicated(keep=False)
    if not again.any():
        return table, []
    by_id = table[again].groupby("id", sort=False)
    for column in table.columns.difference(["id"] if join is None else ["id", "label"]):
        counts = by_id[column].nunique()
        if (counts > 1).any():
            _refuse(table[again], counts[counts > 1].index.tolist(), column, source)
    shown = examples([*by_id.groups])
    note = f"{source.name}: {by_id.ngroups} ids stand in several equal rows, taken once: {shown}"
    if join is not None:
        note = f"{source.name}: {by_id.ngroups} ids stand in several rows, labels joined: {shown}"
        joint = by_id["label"].agg(join)
        table = table.assign(label=table["id"].map(joint).fillna(table["label"]))
    return table.drop_duplicates("id", ignore_index=True), [note]


def _refuse(table: pd.DataFrame, ids: list[str], column: str, source: Source) -> None:
    shown = []
    for image in ids[:5]:
        places = (table["id"] == image).to_numpy().nonzero()[0]
        said = [f"row {table.index[p] + 2}: {table[column].iloc[p]}" for p in places.tolist()]
        shown.append(f"{image} ({examples(said)})")
    hint = "; if an image may have several, set task: multilabel" if column == "label" else ""
    raise UserError(
        f"{source.name}: {len(ids)} ids stand in several rows with different {column}s: "
        f"{examples([*shown, *ids[5:]])}; leave the wrong rows out{hint}"
    )
