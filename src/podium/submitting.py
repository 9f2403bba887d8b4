"""Handing a submission in: sent once, and remembered with its score."""

import time
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import requests

from podium import history, kaggle_client
from podium.errors import UserError
from podium.schema import Competition
from podium.submittable import Checked

POLLS = (1, 2, 4, 8, 15)  # seconds between looks at the score; the last one stays


class _UnclearError(Exception):
    """The connection ended before it was said whether the submission is taken."""


def submit(
    checked: Checked, competition: Competition, *, message: str, minutes: float, past: Path
) -> dict[str, str]:
    """Send a submission, and do as `settle`.

    Raises:
        UserError: if Kaggle does not take it, or cannot score it.
    """
    if competition.source == "builtin":
        raise UserError("competition.source: builtin is no competition on Kaggle")
    api, slug = kaggle_client.login(), competition.slug
    ref = send(api, slug, checked.path, message)
    return settle(api, checked, ref, slug=slug, message=message, minutes=minutes, past=past)


def settle(
    api: Any, checked: Checked, ref: int, *, slug: str, message: str, minutes: float, past: Path
) -> dict[str, str]:
    """Put a submission that Kaggle has taken as number `ref` into the history at `past`, and wait
    for its score as long as `minutes`. Gives its row, PENDING if the score is not there yet.

    Raises:
        UserError: if Kaggle cannot score it: then it is not in the history.
    """
    row = dict.fromkeys(history.COLUMNS, "") | {
        "competition": slug,
        "file": checked.path.as_posix(),
        "sha256": checked.sha256,
        "commit": checked.commit,
        "params": checked.params,
        "metric": checked.metric,
        "oof": repr(checked.oof),
        "message": message,
        "ref": str(ref),
        "status": "PENDING",
    }
    history.append(past, row)  # before the wait, which may be interrupted
    made = wait(api, slug, ref, minutes=minutes)
    if made is None:
        return row
    row |= _values(made)
    failed = row["status"] == "ERROR"
    history.change(past, row["ref"], None if failed else row)
    if failed:
        why = made.error_description or "it does not say why"
        raise UserError(f"Kaggle could not score {checked.path} (ref {ref}): {why}")
    return row


def send(api: Any, slug: str, path: Path, message: str) -> int:
    """Submit a file; Kaggle's number of it.

    Raises:
        UserError: if Kaggle does not take it.
    """
    advice = kaggle_client.advice(slug)
    known = listed(api, slug)

    def work() -> Any:
        try:
            return api.competition_submit(str(path), message, slug, quiet=True)
        except requests.RequestException as error:
            if _is_unclear(error):
                raise _UnclearError(kaggle_client.unsigned(error)) from None
            raise

    doing = f"take {path}"
    try:
        answer = kaggle_client.call(work, doing=doing, advice=advice)
    except _UnclearError as error:  # to send it again could use up two of the day's submissions
        now = listed(api, slug)
        new = [ref for ref in now.keys() - known if now[ref].description == message]
        if not new:
            raise UserError(f"Kaggle did not {doing}: {error}; it does not list it") from None
        return max(new)
    if not answer.ref:  # the client gives no error where the upload fails
        text = kaggle_client.unsigned(ValueError(answer.message))
        raise UserError(f"Kaggle did not {doing}: {text}: the upload failed; run it again")
    return int(answer.ref)


def _is_unclear(error: requests.RequestException) -> bool:
    """Whether the submission may have been taken all the same."""
    url = "" if error.request is None else str(error.request.url)
    refused = error.response is not None and error.response.status_code < 500
    return url.endswith("/CreateSubmission") and not refused


def listed(api: Any, slug: str, wanted: set[int] | None = None) -> dict[int, Any]:
    """What Kaggle lists of the latest submissions, by its numbers of them: a page, or as many as it
    takes to find the `wanted` ones.

    Raises:
        UserError: if it does not.
    """
    found: dict[int, Any] = {}
    for page in count(1):
        more = kaggle_client.call(
            partial(api.competition_submissions, slug, page_number=page),
            doing=f"list the submissions to {slug}",
            advice=kaggle_client.advice(slug),
        )
        new = {made.ref: made for made in more or [] if made.ref not in found}
        found |= new
        if not new or (wanted or set()) <= found.keys():
            break
    return found


def wait(api: Any, slug: str, ref: int, *, minutes: float) -> Any | None:
    """What Kaggle lists of a submission, as soon as it is scored or `minutes` are over; None if it
    does not list it by then, or cannot be reached.
    """
    end = time.monotonic() + 60 * minutes
    for pause in chain(POLLS, repeat(POLLS[-1])):
        try:
            made = listed(api, slug, {ref}).get(ref)
        except UserError as error:
            print(f"warning: {error}")
            return None
        left = end - time.monotonic()
        if (made is not None and made.status.name != "PENDING") or left <= 0:
            return made
        time.sleep(min(pause, left))
    raise AssertionError


def update(path: Path) -> int:
    """Ask Kaggle for what is open in the history at `path`; gives how many rows have changed.

    Raises:
        UserError: if there are no credentials, or Kaggle does not answer.
    """
    rows = history.open_rows(history.read(path))
    if rows.empty:
        return 0
    api, changed = kaggle_client.login(), 0
    for slug, group in rows.groupby("competition"):
        refs = {int(ref) for ref in group["ref"]}
        found = listed(api, str(slug), refs)
        for row in group.to_dict("records"):
            made = found.get(int(row["ref"]))
            if made is not None and (values := _values(made)).items() - row.items():
                history.change(path, row["ref"], values)
                changed += 1
    return changed


def _values(made: Any) -> dict[str, str]:
    """What Kaggle's list says of a submission, as the history has it."""
    values = {"status": made.status.name}
    if made.date is not None:
        values["time"] = made.date.isoformat(timespec="seconds") + "Z"  # the client drops the zone
    if made.public_score:
        values["public"] = made.public_score
    return values
