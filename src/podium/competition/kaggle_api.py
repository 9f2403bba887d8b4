"""The official Kaggle client: logging in, trying again, and errors that say what to do."""

import io
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
from tqdm import tqdm

from podium.core.errors import UserError

PAUSES = (0.5, 1, 2, 4, 8, 16, 32)  # seconds before the next try
LONGEST = 600.0  # seconds that Kaggle may ask to wait
PASSING = {408, 429, 500, 502, 503, 504}
CUT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")
SHORTEST = 4  # letters of a credential: fewer would blot out words
TOKENS = "https://www.kaggle.com/settings/api"

T = TypeVar("T")


def login() -> Any:
    """The official client (`KaggleApi`), with the credentials of this machine.

    Raises:
        UserError: if there are none, or Kaggle refuses them.
    """

    def enter() -> Any:
        # Imported here: `import kaggle` looks for credentials, and may call the network.
        from kaggle.api.kaggle_api_extended import KaggleApi

        api = KaggleApi()
        api.authenticate()
        return api

    try:
        return call(enter, action="log in to Kaggle", advice=advice(), cuts=False)
    except SystemExit:
        raise UserError(
            f"no Kaggle credentials: create a token at {TOKENS}, then set KAGGLE_API_TOKEN, or put "
            "it into ~/.kaggle/access_token (an older username and key: KAGGLE_USERNAME and "
            "KAGGLE_KEY, or ~/.kaggle/kaggle.json)"
        ) from None


def advice(slug: str | None = None) -> dict[int, str]:
    """What to do about a status of the API, asked about the competition `slug`."""
    found = {401: f"the token is not valid: create a new one at {TOKENS}"}
    if slug is not None:
        rules = f"https://www.kaggle.com/competitions/{slug}/rules"
        found[403] = f"accept the rules first: {rules}"
        found[404] = "competition.slug is the name in the competition's URL on Kaggle"
    return found


def call(work: Callable[[], T], *, action: str, advice: Mapping[int, str], cuts: bool = True) -> T:
    """What `work` gives, which asks Kaggle by the client: tried again where Kaggle is busy or out
    of order, and, if `cuts`, where the connection is cut. What the client prints is dropped.

    Raises:
        UserError: "failed to `action`: …", with what `advice` has for the status.
    """
    retries = Retries(action, advice, cuts=cuts)
    while True:
        try:
            # It prints help, warnings, and addresses that let in whoever has them.
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return work()
        except requests.RequestException as error:
            retries.wait(error)
        except ValueError as error:
            raise UserError(f"failed to {action}: {unsigned(error)}") from None


class Retries:
    """Failures in a row, and how long to wait after each."""

    def __init__(self, action: str, advice: Mapping[int, str], *, cuts: bool = True) -> None:
        """`action` and `advice` are for the error message, as in `call`."""
        self.action, self.advice, self.cuts = action, advice, cuts
        self.failed = 0

    def reset(self) -> None:
        """Something has worked."""
        self.failed = 0

    def wait(self, error: requests.RequestException) -> None:
        """Wait before the next try: as long as Kaggle asks, else longer each time.

        Raises:
            UserError: if another try is of no use, or the last one has failed.
        """
        response = error.response
        again = isinstance(error, CUT) and self.cuts
        if response is not None:
            again = response.status_code in PASSING
        if not again:
            self.give_up(error)
        if self.failed == len(PAUSES):
            self.give_up(error, f" ({self.failed + 1} tries)")
        pause = PAUSES[self.failed]
        if response is not None and (asked := _retry_after(response)) is not None:
            pause = asked
            if pause > LONGEST:
                self.give_up(error, f"; it asks to wait for {pause:.0f} s: run it again then")
        self.failed += 1
        tqdm.write(f"Kaggle: {_brief(error)}; next try in {pause:g} s", file=sys.stderr)
        time.sleep(pause)

    def give_up(self, error: requests.RequestException, more: str = "") -> None:
        """Raise the UserError of `error`."""
        hint = ""
        # Where the files lie, another server, 403 says nothing of rules.
        if error.response is not None and error.response.request.method == "POST":
            hint = self.advice.get(error.response.status_code, "")
        raise UserError(
            f"failed to {self.action}: {unsigned(error)}{more}" + (hint and f"\n  {hint}")
        ) from None


def unsigned(error: Exception) -> str:
    """The error's text, without what lets in whoever has it: the signed part of an address, and
    credentials, which requests quotes where they cannot stand in a header.
    """
    text = re.sub(r"\?[^\s'\")]+", "?…", str(error))
    text = re.sub(r"//[^/@\s]+@", "//…@", text)
    text = re.sub(r"(Bearer|Basic) [^\s'\"]+", r"\1 …", text)
    for name in SECRETS:
        for part in os.environ.get(name, "").split():
            if len(part) >= SHORTEST:
                text = text.replace(part, "…")
    return text


def _brief(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    return "no answer in time" if isinstance(error, requests.Timeout) else "the connection was lost"


def _retry_after(response: requests.Response) -> float | None:
    """The seconds that the answer asks to wait: a number, or a date beside the answer's own (RFC
    9110, 10.2.3).
    """
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        now = parsedate_to_datetime(response.headers["Date"])
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
