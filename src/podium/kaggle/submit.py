"""Submit to Kaggle without ever submitting twice, and record the score."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from podium.competition import kaggle_api
from podium.config.competition import Competition
from podium.core.errors import UserError
from podium.kaggle import history, scores
from podium.kaggle.check import CheckedSubmission


class OutcomeUnknownError(UserError):
    """The connection ended before Kaggle said whether it accepted the submission."""


def submit(
    submission: CheckedSubmission,
    competition: Competition,
    *,
    message: str,
    wait_minutes: float,
    past: Path = history.PATH,
) -> dict[str, str]:
    """Submit a CSV, record it in the history at `past`, and wait for its score.

    Returns its row, which is still PENDING if there is no score in time.

    Raises:
        UserError: if it was submitted before, or Kaggle rejects it or cannot score it.
    """
    if competition.source == "builtin":
        raise UserError(
            "competition.source: builtin is not a competition on Kaggle. Set source: kaggle."
        )
    api, slug = kaggle_api.login(), competition.slug
    file = submission.path.as_posix()
    row = send(
        api,
        describe(submission, slug=slug, message=message, file=file),
        action=f"submit {file}",
        request=lambda: api.competition_submit(str(submission.path), message, slug, quiet=True),
        past=past,
    )
    return add_score(api, row, wait_minutes=wait_minutes, past=past)


def describe(
    submission: CheckedSubmission, *, slug: str, message: str, file: str
) -> dict[str, str]:
    """A row of the history: what is known before `file` is submitted with `message`."""
    return dict.fromkeys(history.COLUMNS, "") | {
        "competition": slug,
        "file": file,
        "sha256": submission.sha256,
        "commit": submission.commit,
        "params": submission.params_sha256,
        "metric": submission.metric,
        "oof": repr(submission.oof),
        "message": message,
    }


def send(
    api: Any,
    row: dict[str, str],
    *,
    action: str,
    request: Callable[[], Any],
    allow_repeated: bool = False,
    past: Path = history.PATH,
) -> dict[str, str]:
    """Make a `request` that submits what `row` describes. The intent is recorded in the history at
    `past` before, and Kaggle's number after it, so that an interruption in between is noticed.
    One process at a time submits.

    Returns the row with its number.

    Raises:
        UserError: if Kaggle rejects it, the history cannot be written or, unless `allow_repeated`,
            the same file was submitted before.
    """
    slug = row["competition"]
    with history.locked(past, "submit.lock"):
        scores.settle(api, slug, past)
        if not allow_repeated:
            history.check_new(history.read(past), slug=slug, sha256=row["sha256"], file=row["file"])
        before = scores.list_submissions(api, slug)
        intent = row | {
            "status": history.SENDING,
            "ref": f"{history.AFTER}{max(before, default=0)}",
        }
        history.append(past, intent)
        try:
            ref = _submit_once(api, intent, before, action=action, request=request)
        except OutcomeUnknownError:
            raise
        except UserError:
            with suppress(UserError):  # the next submission settles a row that is left
                history.remove(past, intent)
            raise
        accepted = row | {"ref": str(ref), "status": "PENDING"}
        try:
            if not history.update(past, intent, accepted):  # it was edited meanwhile
                history.append(past, accepted)
        except UserError as error:
            raise UserError(
                f"Kaggle accepted {row['file']} as number {ref}, but this could not be recorded. "
                f"Fix this, then run `make history`, which adds the number: {error}"
            ) from None
    return accepted


def add_score(
    api: Any, row: dict[str, str], *, wait_minutes: float, past: Path = history.PATH
) -> dict[str, str]:
    """Wait for the score of the submission `row`, add it to the history, and return the row, which
    is still PENDING if there is no score in time.

    Raises:
        UserError: if Kaggle cannot score it; it is then removed from the history.
    """
    listed = scores.wait_for_score(api, row["competition"], int(row["ref"]), minutes=wait_minutes)
    if listed is None:
        return row
    values = scores.values(listed)
    if values["status"] == "ERROR":
        history.remove(past, row)
        reason = listed.error_description or "no reason given"
        problem = f"Kaggle could not score {row['file']} (ref {row['ref']})"
        raise UserError(f"{problem}. Fix this and submit again: {reason}")
    history.update(past, row, values)
    return row | values


def summary(row: dict[str, str]) -> str:
    """Summarize a submission's result in one line."""
    score = row["public"] or "no score yet (`make history` asks again)"
    return f"{row['status']}, ref {row['ref']}: {score}; out of fold {float(row['oof']):.5f}"


def _submit_once(
    api: Any,
    row: dict[str, str],
    before: Collection[int],
    *,
    action: str,
    request: Callable[[], Any],
) -> int:
    """Make a `request` that submits what `row` describes; return Kaggle's number of it. `before`
    are the numbers of earlier submissions.

    If the response is lost, the list of submissions tells whether Kaggle accepted it; the request
    is not repeated. `action` describes it in error messages ("failed to …").

    Raises:
        OutcomeUnknownError: if the list cannot be read either.
        UserError: if Kaggle rejects it.
    """
    slug, message = row["competition"], row["message"]

    def request_once() -> Any:
        try:
            return request()
        except (requests.RequestException, ValueError) as error:
            if _may_have_succeeded(error):
                raise OutcomeUnknownError(kaggle_api.redacted(error)) from None
            raise

    try:
        response = kaggle_api.call(request_once, action=action, slug=slug)
    except OutcomeUnknownError as error:  # a retry could use up two of the day's submissions
        reason = f"failed to {action}: {error}"
    else:
        if response.ref:
            return int(response.ref)
        # The client does not raise if an upload fails.
        reason = f"failed to {action}: {kaggle_api.redacted(ValueError(response.message))}"
    try:
        after = scores.list_submissions(api, slug)
    except UserError as error:
        raise OutcomeUnknownError(
            f"{reason}. Whether Kaggle accepted it is unknown: {error}. Run `make history` later, "
            "which asks again."
        ) from None
    if ref := scores.find(after, message, after.keys() - set(before)):
        return ref
    raise UserError(f"{reason} (not in Kaggle's list of submissions). Run it again.")


def _may_have_succeeded(error: requests.RequestException | ValueError) -> bool:
    """Whether a failed request may have been the one that submits. An error without a request is
    that of a response that cannot be parsed.
    """
    request, response = getattr(error, "request", None), getattr(error, "response", None)
    if response is not None and response.status_code < 500:
        return False
    return request is None or str(request.url).endswith(
        ("/CreateSubmission", "/CreateCodeSubmission")
    )
