"""Kaggle's list of submissions: look up their numbers and scores for the history."""

import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from filelock import Timeout

from podium.competition import kaggle_api
from podium.core.errors import UserError
from podium.kaggle import history

MAX_PAUSE_SECONDS = 15.0  # between two requests for the score


def list_submissions(api: Any, slug: str, refs: set[int] | None = None) -> dict[int, Any]:
    """List the latest submissions by Kaggle's numbers: one page, or until it contains `refs`.

    Raises:
        UserError: if the request fails.
    """
    submissions: dict[int, Any] = {}
    for page in count(1):
        listed = kaggle_api.call(
            partial(api.competition_submissions, slug, page_number=page),
            action=f"list the submissions to {slug}",
            slug=slug,
        )
        new = {item.ref: item for item in listed or [] if item.ref not in submissions}
        submissions |= new
        if not new or (refs or set()) <= submissions.keys():
            break
    return submissions


def wait_for_score(api: Any, slug: str, ref: int, *, minutes: float) -> Any | None:
    """Poll the list of submissions until `ref` is scored or `minutes` have passed.

    Returns its last known entry; None if it is not listed, or Kaggle cannot be reached.
    """
    end, pause = time.monotonic() + 60 * minutes, 1.0
    while True:
        try:
            listed = list_submissions(api, slug, {ref}).get(ref)
        except UserError as error:
            print(f"warning: {error}")
            return None
        left = end - time.monotonic()
        if (listed is not None and listed.status.name != "PENDING") or left <= 0:
            return listed
        time.sleep(min(pause, left))
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


def refresh(path: Path) -> int:
    """Ask Kaggle for what is missing in the history; return how many rows changed.

    Raises:
        UserError: if there are no credentials, or the request fails.
    """
    table = history.read(path)
    rows = table[table["status"].isin(["PENDING", history.SENDING]) | (table["time"] == "")]
    if rows.empty:
        return 0
    api, changes = kaggle_api.login(), 0
    for slug in rows["competition"].unique():
        with suppress(Timeout), history.locked(path, "submit.lock", timeout_s=0):
            changes += settle(api, slug, path)  # unless another process is submitting
        changes += _refresh(api, slug, path)
    return changes


def _refresh(api: Any, slug: str, path: Path) -> int:
    table, changes = history.read(path), 0
    rows = table[(table["status"] == "PENDING") | (table["time"] == "")]
    rows = rows[(rows["competition"] == slug) & (rows["status"] != history.SENDING)]
    refs = {number for ref in rows["ref"] if (number := history.number(ref))}
    submissions = list_submissions(api, slug, refs) if len(rows) else {}
    for index, row in zip(rows.index, history.rows(rows), strict=True):
        ref = history.number(row["ref"])
        if ref is None:
            print(
                f"warning: {path}, submission {index + 1}: {row['ref'] or 'an empty ref'} is not a "
                f"number of Kaggle (did a spreadsheet change it?). Enter it again."
            )
        elif ref in submissions and (new := values(submissions[ref])).items() - row.items():
            changes += history.update(path, row, new)
    return changes


def settle(api: Any, slug: str, path: Path) -> int:
    """Ask Kaggle whether it accepted the submissions of interrupted runs: add their numbers to the
    history, or remove them. Call it with the lock. Return how many there were.

    Raises:
        UserError: if the request fails, or the history cannot be written.
    """
    table = history.read(path)
    rows = table[(table["competition"] == slug) & (table["status"] == history.SENDING)]
    for row in history.rows(rows):
        newest = history.number(row["ref"].removeprefix(history.AFTER)) or 0  # at that time
        listed = list_submissions(api, slug, {newest})
        recorded = {history.number(ref) for ref in table["ref"]}
        refs = [ref for ref in listed if ref > newest and ref not in recorded]
        if ref := find(listed, row["message"], refs):
            history.update(path, row, {"ref": str(ref), **values(listed[ref])})
            print(f"{row['file']} was submitted as number {ref} by a run that was interrupted")
        else:
            history.remove(path, row)
            print(f"{row['file']} did not reach Kaggle in a run that was interrupted")
    return len(rows)


def find(listed: dict[int, Any], message: str, refs: Iterable[int]) -> int | None:
    """The latest of the submissions `refs` with this message. Kaggle may change white space."""
    words = message.split()
    return max((ref for ref in refs if _words(listed[ref]) == words), default=None)


def _words(listed: Any) -> list[str]:
    return (listed.description or "").split()


def values(listed: Any) -> dict[str, str]:
    """An entry of Kaggle's list as values of the history."""
    values = {"status": listed.status.name}
    if listed.date is not None:
        # The client drops the time zone.
        values["time"] = f"{listed.date.isoformat(timespec='seconds')}Z"
    if listed.public_score:
        values["public"] = listed.public_score
    return values
