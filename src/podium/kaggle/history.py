"""submissions/history.csv: all submissions with their out-of-fold (CV) and public (LB) scores.

Several processes may change it at a time, and spreadsheets may have rewritten it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from podium.core import csvs, files, paths
from podium.core.errors import UserError

PATH = paths.SUBMISSIONS / "history.csv"
COLUMNS = (
    "time",  # when Kaggle received it, UTC
    "competition",
    "file",
    "sha256",
    "commit",  # ends with -dirty if files that the results depend on were edited
    "params",  # SHA-256 of the params that its stages ran with
    "metric",
    "oof",
    "public",
    "message",
    "ref",  # Kaggle's number of the submission
    "status",  # SENDING, PENDING, COMPLETE or ERROR
)
SENDING = "SENDING"  # recorded before the upload, until Kaggle has confirmed it
AFTER = "after "  # in the ref of a SENDING row: Kaggle's newest number before it
KEY = ["competition", "sha256", "message", "ref"]  # identifies a row while others edit the file
LONE_CR = re.compile(rb'"[^"]*"|\r(?!\n)')  # or a quoted field, in which it is harmless


def read(path: Path) -> pd.DataFrame:
    """Read a history as text: [submissions, COLUMNS and others]; empty if the file does not exist.

    Empty rows and columns, which spreadsheets add, are dropped. A carriage return that is not the
    end of a line is read as a space.

    Raises:
        UserError: if it cannot be read, or lacks a column.
    """
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    data = files.read(path)
    if b"\n" in data:
        data = LONE_CR.sub(lambda match: b" " if match[0] == b"\r" else match[0], data)
    table = csvs.parse(data, name=str(path)).fillna("")
    if not set(COLUMNS) <= set(table.columns):
        raise UserError(
            f"{path} must have the columns {', '.join(COLUMNS)}, not {', '.join(table.columns)}. "
            "Fix its header, or move the file away."
        )
    filled = table != ""
    columns = [name for name in table.columns if name in COLUMNS or filled[name].any()]
    return table.loc[filled.any(axis=1), columns].reset_index(drop=True)


def rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """The submissions of a history as values by column."""
    return [dict(zip(table.columns, values, strict=True)) for values in table.to_numpy().tolist()]


def number(ref: str) -> int | None:
    """Kaggle's number of a submission; None if a spreadsheet has rounded it (4E+07)."""
    match = re.fullmatch(r"(\d+)(\.0*)?", ref.strip())
    return int(match[1]) if match else None


def check_new(table: pd.DataFrame, *, slug: str, sha256: str, file: str) -> None:
    """Check that `file`, with this hash, was not submitted to the competition `slug` before.

    Raises:
        UserError: with the facts of the earlier submission.
    """
    same = (table["competition"] == slug) & (table["sha256"] == sha256)
    for row in rows(table[same & (table["status"] != SENDING)])[:1]:
        facts = (f"ref {row['ref']}", row["time"], row["status"], row["public"])
        raise UserError(
            f"{file} was already submitted: {', '.join(filter(None, facts))}. Change params.yaml "
            "and run `dvc repro` for another submission."
        )


def append(path: Path, row: Mapping[str, str]) -> None:
    """Add a submission with a value for each of `COLUMNS`; raises as `edit` does."""
    assert set(row) == set(COLUMNS)
    with edit(path) as edited:
        edited.append(dict(row))


def update(path: Path, row: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Change values of the submission `row`, and return whether it is in the history; raises as
    `edit` does.
    """
    with edit(path) as edited:
        if (index := _index(edited, row)) is not None:
            edited[index] |= values
    return index is not None


def remove(path: Path, row: Mapping[str, str]) -> None:
    """Remove the submission `row`; raises as `edit` does."""
    with edit(path) as edited:
        if (index := _index(edited, row)) is not None:
            del edited[index]


def _index(rows: list[dict[str, str]], row: Mapping[str, str]) -> int | None:
    key = [row[name] for name in KEY]
    return next((i for i, other in enumerate(rows) if [other[name] for name in KEY] == key), None)


@contextmanager
def edit(path: Path) -> Iterator[list[dict[str, str]]]:
    """Yield the rows, and write them back if they have changed. Other processes wait meanwhile.

    Raises:
        UserError: as `read` does, or if the file cannot be written.
    """
    with locked(path, "lock"):
        table = read(path)
        edited = rows(table)
        yield edited
        if edited != rows(table):
            columns = list(table.columns)
            files.write_csv(path, pd.DataFrame(edited, columns=columns, dtype=str).fillna(""))


@contextmanager
def locked(path: Path, name: str, *, timeout_s: float = -1) -> Iterator[None]:
    """Hold a lock file next to the history at `path` until the block or the process ends.

    Raises:
        UserError: if the folder cannot be written.
        filelock.Timeout: if another process still holds it after `timeout_s`; -1 waits forever.
    """
    lock = FileLock(path.with_name(f"{path.name}.{name}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise
    except OSError as error:
        fix = "Change the permissions of its folder."
        raise UserError(f"cannot write {path}: {error.strerror}. {fix}") from None
    try:
        yield
    finally:
        lock.release()
