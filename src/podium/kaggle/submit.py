"""Submit to Kaggle without ever submitting twice, and record the score."""

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
from podium.kaggle.check import CheckedSubmission

POLL_SECONDS = (1, 2, 4, 8, 15)  # between requests for the score; the last one repeats


class _UnknownOutcomeError(Exception):
    """The connection ended before Kaggle said whether it accepted the submission."""


def submit(
    submission: CheckedSubmission,
    competition: Competition,
    *,
    message: str,
    wait_minutes: float,
    past: Path,
) -> dict[str, str]:
    """Submit a CSV, and record it as in `record`.

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
    row = history_row(submission, ref, slug=slug, message=message)
    return record(api, row, wait_minutes=wait_minutes, past=past)


def history_row(
    submission: CheckedSubmission, ref: int, *, slug: str, message: str, file: str = ""
) -> dict[str, str]:
    """Create the history's row for a submission that Kaggle has accepted as number `ref`.

    `file` is what was submitted, if that is not the CSV itself.
    """
    return dict.fromkeys(history.COLUMNS, "") | {
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


def record(api: Any, row: dict[str, str], *, wait_minutes: float, past: Path) -> dict[str, str]:
    """Add an accepted submission to the history at `past` and wait for its score.

    Returns its row, which is still PENDING if there is no score in time.

    Raises:
        UserError: if Kaggle cannot score it; it is then removed from the history.
    """
    history.append(past, row)  # before waiting, which may be interrupted
    listed = wait_for_score(api, row["competition"], int(row["ref"]), minutes=wait_minutes)
    if listed is None:
        return row
    row = row | _values(listed)
    if row["status"] == "ERROR":
        history.remove(past, row["ref"])
        reason = listed.error_description or "no reason given"
        raise UserError(f"Kaggle could not score {row['file']} (ref {row['ref']}): {reason}")
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
    end = time.monotonic() + 60 * minutes
    for pause in chain(POLL_SECONDS, repeat(POLL_SECONDS[-1])):
        try:
            listed = list_submissions(api, slug, {ref}).get(ref)
        except UserError as error:
            print(f"warning: {error}")
            return None
        left = end - time.monotonic()
        if (listed is not None and listed.status.name != "PENDING") or left <= 0:
            return listed
        time.sleep(min(pause, left))
    raise AssertionError


def refresh(path: Path) -> int:
    """Ask Kaggle for the missing scores in the history; return how many rows changed.

    Raises:
        UserError: if there are no credentials, or the request fails.
    """
    rows = history.pending(history.read(path))
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
