"""Handing a submission in: sent once, and remembered with its score."""

import time
from collections.abc import Callable
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import requests

from podium.competition import kaggle_api
from podium.config.competition import Competition
from podium.core.errors import UserError
from podium.kaggle import history
from podium.kaggle.check import Checked

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
    api, slug = kaggle_api.login(), competition.slug
    ref = send(
        api,
        slug,
        message,
        doing=f"take {checked.path}",
        work=lambda: api.competition_submit(str(checked.path), message, slug, quiet=True),
    )
    row = row_of(checked, ref, slug=slug, message=message)
    return settle(api, row, minutes=minutes, past=past)


def row_of(
    checked: Checked, ref: int, *, slug: str, message: str, file: str = ""
) -> dict[str, str]:
    """What the history has of a submission that Kaggle has taken as number `ref`. `file`: what was
    submitted, where it is not the CSV itself.
    """
    return dict.fromkeys(history.COLUMNS, "") | {
        "competition": slug,
        "file": file or checked.path.as_posix(),
        "sha256": checked.sha256,
        "commit": checked.commit,
        "params": checked.params,
        "metric": checked.metric,
        "oof": repr(checked.oof),
        "message": message,
        "ref": str(ref),
        "status": "PENDING",
    }


def settle(api: Any, row: dict[str, str], *, minutes: float, past: Path) -> dict[str, str]:
    """Put a submission, which Kaggle has taken, into the history at `past`, and wait for its score
    as long as `minutes`. Gives its row, PENDING if the score is not there yet.

    Raises:
        UserError: if Kaggle cannot score it: then it is not in the history.
    """
    history.append(past, row)  # before the wait, which may be interrupted
    made = wait(api, row["competition"], int(row["ref"]), minutes=minutes)
    if made is None:
        return row
    row = row | _values(made)
    failed = row["status"] == "ERROR"
    history.change(past, row["ref"], None if failed else row)
    if failed:
        why = made.error_description or "it does not say why"
        raise UserError(f"Kaggle could not score {row['file']} (ref {row['ref']}): {why}")
    return row


def outcome(row: dict[str, str]) -> str:
    """What became of a submission, in a line."""
    score = row["public"] or "no score yet: `make history` asks again"
    return f"{row['status']}, ref {row['ref']}: {score}; out of fold {float(row['oof']):.5f}"


def send(api: Any, slug: str, message: str, *, doing: str, work: Callable[[], Any]) -> int:
    """Do `work`, a call of the client that submits something with `message`; Kaggle's number of it.
    `doing` says in messages what Kaggle is asked to do. Where an answer is lost, Kaggle's list of
    submissions says whether it was taken: nothing is sent twice.

    Raises:
        UserError: if Kaggle does not take it.
    """
    advice = kaggle_api.advice(slug)
    known = listed(api, slug)

    def once() -> Any:
        try:
            return work()
        except requests.RequestException as error:
            if _is_unclear(error):
                raise _UnclearError(kaggle_api.unsigned(error)) from None
            raise

    try:
        answer = kaggle_api.call(once, doing=doing, advice=advice)
    except _UnclearError as error:  # to send it again could use up two of the day's submissions
        now = listed(api, slug)
        new = [ref for ref in now.keys() - known if now[ref].description == message]
        if not new:
            raise UserError(f"Kaggle did not {doing}: {error}; it does not list it") from None
        return max(new)
    if not answer.ref:  # the client gives no error where the upload fails
        text = kaggle_api.unsigned(ValueError(answer.message))
        raise UserError(f"Kaggle did not {doing}: {text}; run it again")
    return int(answer.ref)


def _is_unclear(error: requests.RequestException) -> bool:
    """Whether the submission may have been taken all the same."""
    url = "" if error.request is None else str(error.request.url)
    refused = error.response is not None and error.response.status_code < 500
    return url.endswith(("/CreateSubmission", "/CreateCodeSubmission")) and not refused


def listed(api: Any, slug: str, wanted: set[int] | None = None) -> dict[int, Any]:
    """What Kaggle lists of the latest submissions, by its numbers of them: a page, or as many as it
    takes to find the `wanted` ones.

    Raises:
        UserError: if it does not.
    """
    found: dict[int, Any] = {}
    for page in count(1):
        more = kaggle_api.call(
            partial(api.competition_submissions, slug, page_number=page),
            doing=f"list the submissions to {slug}",
            advice=kaggle_api.advice(slug),
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
    api, changed = kaggle_api.login(), 0
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
