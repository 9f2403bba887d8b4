"""Submit to Kaggle without ever submitting twice, and record the score."""

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import requests

from podium.competition import kaggle_api
from podium.config.competition import Competition
from podium.core.errors import UserError
from podium.kaggle import history
from podium.kaggle.check import CheckedSubmission

MAX_PAUSE_SECONDS = 15.0  # between two requests for the score


class _UnknownOutcomeError(Exception):
    """The connection ended before Kaggle said whether it accepted the submission."""


def submit(
    submission: CheckedSubmission,
    competition: Competition,
    *,
    message: str,
    wait_minutes: float,
    past: Path = history.PATH,
) -> dict[str, str]:
    """Submit a CSV, then `record` it.

    Raises:
        UserError: if Kaggle rejects it, or cannot score it.
    """
    if competition.source == "builtin":
        raise UserError("competition.source: builtin is not a competition on Kaggle.")
    api, slug = kaggle_api.login(), competition.slug
    ref = submit_once(
        api,
        slug,
        message,
        action=f"submit {submission.path}",
        request=lambda: api.competition_submit(str(submission.path), message, slug, quiet=True),
    )
    return record(
        api, submission, ref, slug=slug, message=message, wait_minutes=wait_minutes, past=past
    )


def record(
    api: Any,
    submission: CheckedSubmission,
    ref: int,
    *,
    slug: str,
    message: str,
    wait_minutes: float,
    past: Path = history.PATH,
    file: str = "",
) -> dict[str, str]:
    """Add a submission that Kaggle has accepted as number `ref` to the history at `past`, and wait
    for its score. `file` is what was submitted, if that is not the CSV itself.

    Returns its row, which is still PENDING if there is no score in time.

    Raises:
        UserError: if Kaggle cannot score it; it is then removed from the history.
    """
    row = dict.fromkeys(history.COLUMNS, "") | {
        "competition": slug,
        "file": file or submission.path.as_posix(),
        "sha256": submission.sha256,
        "commit": submission.commit,
        "params": submission.params_sha256,
        "metric": submission.metric,
        "oof": repr(submission.oof),
        "message": message,
        "ref": str(ref),
        "status": "PENDING",
    }
    history.append(past, row)  # before waiting, which may be interrupted
    listed = wait_for_score(api, slug, ref, minutes=wait_minutes)
    if listed is None:
        return row
    row |= _values(listed)
    if row["status"] == "ERROR":
        history.remove(past, row["ref"])
        reason = listed.error_description or "no reason given"
        raise UserError(f"Kaggle could not score {row['file']} (ref {ref}): {reason}")
    history.update(past, row["ref"], row)
    return row


def summary(row: dict[str, str]) -> str:
    """Summarize a submission's result in one line."""
    score = row["public"] or "no score yet (`make history` asks again)"
    return f"{row['status']}, ref {row['ref']}: {score}; out of fold {float(row['oof']):.5f}"


def submit_once(
    api: Any, slug: str, message: str, *, action: str, request: Callable[[], Any]
) -> int:
    """Make a `request` that submits something with `message`; return Kaggle's number of it.

    If the response is lost, the list of submissions tells whether Kaggle accepted it; the request
    is not repeated. `action` describes it in error messages ("failed to …").

    Raises:
        UserError: if Kaggle rejects it.
    """
    before = list_submissions(api, slug)

    def request_once() -> Any:
        try:
            return request()
        except requests.RequestException as error:
            if _may_have_succeeded(error):
                raise _UnknownOutcomeError(kaggle_api.redacted(error)) from None
            raise

    try:
        response = kaggle_api.call(request_once, action=action, slug=slug)
    except _UnknownOutcomeError as error:  # a retry could use up two of the day's submissions
        after = list_submissions(api, slug)
        refs = [ref for ref in after.keys() - before if after[ref].description == message]
        if not refs:
            raise UserError(
                f"failed to {action}: {error} (not in Kaggle's list of submissions)"
            ) from None
        return max(refs)
    if not response.ref:  # the client does not raise if an upload fails
        reason = kaggle_api.redacted(ValueError(response.message))
        raise UserError(f"failed to {action}: {reason}. Run it again.")
    return int(response.ref)


def _may_have_succeeded(error: requests.RequestException) -> bool:
    url = "" if error.request is None else str(error.request.url)
    rejected = error.response is not None and error.response.status_code < 500
    return url.endswith(("/CreateSubmission", "/CreateCodeSubmission")) and not rejected


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
    """Ask Kaggle for the missing scores in the history; return how many rows changed.

    Raises:
        UserError: if there are no credentials, or the request fails.
    """
    table = history.read(path)
    rows = table[(table["status"] == "PENDING") | (table["time"] == "")]
    if rows.empty:
        return 0
    api, changes = kaggle_api.login(), 0
    for slug, group in rows.groupby("competition"):
        submissions = list_submissions(api, str(slug), {int(ref) for ref in group["ref"]})
        for row in group.to_dict("records"):
            listed = submissions.get(int(row["ref"]))
            if listed is not None and (values := _values(listed)).items() - row.items():
                history.update(path, row["ref"], values)
                changes += 1
    return changes


def _values(listed: Any) -> dict[str, str]:
    """An entry of Kaggle's list as values of the history."""
    values = {"status": listed.status.name}
    if listed.date is not None:
        # The client drops the time zone.
        values["time"] = f"{listed.date.isoformat(timespec='seconds')}Z"
    if listed.public_score:
        values["public"] = listed.public_score
    return values
