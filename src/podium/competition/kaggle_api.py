"""The official Kaggle client: login, retries, and error messages that say what to do."""

import atexit
import io
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import requests
from tqdm import tqdm

from podium.core.errors import UserError

RETRY_PAUSES = (0.5, 1, 2, 4, 8, 16, 32)  # seconds before each retry
MAX_RETRY_AFTER = 600.0  # seconds that Kaggle may ask to wait
RETRYABLE_STATUS = {408, 429, 500, 502, 503, 504}
CONNECTION_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")
MIN_SECRET_LENGTH = 4  # anything shorter could be a word of the message
TOKENS = "https://www.kaggle.com/settings/api"

T = TypeVar("T")


def login() -> Any:
    """Return the official client (`KaggleApi`), logged in with this machine's credentials.

    Raises:
        UserError: if there are none, or Kaggle rejects them.
    """

    def authenticate() -> Any:
        # `import kaggle` looks for credentials, and may use the network.
        _provide_config_folder()
        from kaggle.api.kaggle_api_extended import KaggleApi

        api = KaggleApi()
        api.authenticate()
        return api

    try:
        return call(authenticate, action="log in to Kaggle", retry_connection=False)
    except SystemExit:
        raise UserError(
            f"no Kaggle credentials found. Create a token at {TOKENS} and set KAGGLE_API_TOKEN, or "
            "put it into ~/.kaggle/access_token (for an older username and key: KAGGLE_USERNAME "
            "and KAGGLE_KEY, or ~/.kaggle/kaggle.json)."
        ) from None
    except OSError as error:
        raise UserError(
            f"the Kaggle client cannot use its folder: {error}. Set KAGGLE_CONFIG_DIR to a "
            "writable folder."
        ) from None


def _provide_config_folder() -> None:
    """Give the client an empty folder for its settings if it cannot make one (HOME=/dev/null): the
    credentials may be in the environment.
    """
    home = Path("~").expanduser()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    try:
        if not (os.environ.get("KAGGLE_CONFIG_DIR") or (home / ".kaggle").exists()):
            (config / "kaggle").mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = tempfile.mkdtemp(prefix="kaggle-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["KAGGLE_CONFIG_DIR"] = folder


def call(
    work: Callable[[], T], *, action: str, slug: str | None = None, retry_connection: bool = True
) -> T:
    """Return `work()`, which uses the client. Retry if Kaggle is overloaded or has an internal
    error and, with `retry_connection`, if the connection fails.

    Raises:
        UserError: "failed to `action`: …", with what to do about the competition `slug`.
    """
    retries = Retries(action, slug, retry_connection)
    while True:
        try:
            # The client prints help, warnings, and signed URLs, which are secret.
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return work()
        except requests.RequestException as error:
            retries.wait(error)
        except ValueError as error:
            raise UserError(f"failed to {action}: {redacted(error)}") from None


@dataclass
class Retries:
    """Pauses between the tries of a request. The arguments are as in `call`."""

    action: str
    slug: str | None = None
    retry_connection: bool = True
    failed: int = 0  # successive tries

    def wait(self, error: requests.RequestException) -> None:
        """Wait before the next try: as long as Kaggle asks for, else longer each time.

        Raises:
            UserError: if a retry is pointless, or this was the last one.
        """
        response = error.response
        if response is None:
            is_retryable = self.retry_connection and isinstance(error, CONNECTION_ERRORS)
        else:
            is_retryable = response.status_code in RETRYABLE_STATUS
        if not is_retryable:
            raise self._failure(error)
        if self.failed == len(RETRY_PAUSES):
            raise self._failure(error, f" ({self.failed + 1} tries)")
        wait_s = None if response is None else _retry_after(response)
        if wait_s is not None and wait_s > MAX_RETRY_AFTER:
            raise self._failure(error, f". Kaggle asks to wait {wait_s:.0f} s: rerun after that.")
        pause = RETRY_PAUSES[self.failed] if wait_s is None else wait_s
        self.failed += 1
        tqdm.write(f"Kaggle: {_brief(error)}; retrying in {pause:g} s", file=sys.stderr)
        time.sleep(pause)

    def _failure(self, error: requests.RequestException, detail: str = "") -> UserError:
        text = f"failed to {self.action}: {redacted(error)}{detail}"
        # The API is called with POST. File storage is another server: its 403 has other reasons.
        if error.response is not None and error.response.request.method == "POST":
            advice = _advice(self.slug).get(error.response.status_code)
            text += f"\n  {advice}" if advice else ""
        return UserError(text)


def _advice(slug: str | None) -> dict[int, str]:
    """What to do about an HTTP status of the API."""
    advice = {401: f"The token is not valid. Create a new one at {TOKENS}"}
    if slug is not None:
        rules = f"https://www.kaggle.com/competitions/{slug}/rules"
        advice[404] = "competition.slug must be the name in the competition's Kaggle URL."
        advice[403] = (
            f"Accept the rules first: {rules} (if that page does not exist: {advice[404]})"
        )
    return advice


def redacted(error: Exception) -> str:
    """The error's text without secrets: query strings of signed URLs, and credentials, which
    requests quotes if they are not valid in a header.
    """
    text = re.sub(r"\?[^\s'\")]+", "?…", str(error))
    text = re.sub(r"//[^/@\s]+@", "//…@", text)
    text = re.sub(r"(Bearer|Basic) [^\s'\"]+", r"\1 …", text)
    for name in SECRETS:
        for part in os.environ.get(name, "").split():
            if len(part) >= MIN_SECRET_LENGTH:
                text = text.replace(part, "…")
    return text


def _brief(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    return "request timed out" if isinstance(error, requests.Timeout) else "connection lost"


def _retry_after(response: requests.Response) -> float | None:
    """The seconds in the header Retry-After: a number, or a date relative to the response's own
    (RFC 9110, 10.2.3).
    """
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        now = parsedate_to_datetime(response.headers["Date"])
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
