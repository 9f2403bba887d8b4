"""Private data sets on Kaggle: upload a folder, and wait until it can be attached."""

import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from podium.competition import kaggle_api
from podium.core import console, files
from podium.core.errors import UserError, counted, examples

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0  # between two status requests
METADATA = "dataset-metadata.json"
FAILED = ("failed", "deleted")  # statuses of a data set that has to be uploaded again
MISSING = {403, 404}  # Kaggle's answers for what does not exist


@dataclass(frozen=True)
class Dataset:
    """The data set `ref` (<owner>/<slug>), for the official client `api`, logged in."""

    api: Any
    ref: str

    def upload(self, folder: Path, note: str) -> int:
        """Create the data set, private, or a version of it with a `note`; return the number of the
        previous version.

        The client only prints which files it failed to upload, and creates a data set without
        them, so each upload must be confirmed in its output.

        Raises:
            UserError: if Kaggle rejects it, or a file was not uploaded.
        """
        ref, previous = self.ref, self.find()

        def request() -> tuple[Any, str]:
            with redirect_stdout(io.StringIO()) as output:
                if self.find() is not None:
                    response = self.api.dataset_create_version(str(folder), note)
                else:
                    response = self.api.dataset_create_new(str(folder))
            return response, output.getvalue()

        response, output = kaggle_api.call(request, action=f"upload the data set {ref}")
        if response is None or response.status.lower() != "ok":
            reason = getattr(response, "error", None) or "no reason given"
            raise UserError(
                f"Kaggle rejected the data set {ref}. Fix this and run it again: {reason}"
            )
        names = [path.name for path in folder.iterdir() if path.name != METADATA]
        if failed := sorted(n for n in names if f"Upload successful: {n} (" not in output):
            raise UserError(
                f"data set {ref}: Kaggle did not receive {len(failed)} of "
                f"{counted(len(names), 'file')}: {examples(failed)}. Run it again."
            )
        console.say(f"data set {ref}: {counted(len(names), 'file')} uploaded")
        return previous[1] if previous else 0

    def find(self) -> tuple[str, int] | None:
        """Status and version of the data set; None (Kaggle answers 403) if there is none."""

        def request() -> tuple[str, int] | None:
            try:
                status = json.loads(self.api.dataset_status(self.ref, format="json"))
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in MISSING:
                    return None
                raise
            return status["status"], status["current_version_number"] or 0

        return kaggle_api.call(request, action=f"get the status of the data set {self.ref}")

    def status(self, previous: int) -> str:
        """The status of the version after `previous`.

        Raises:
            UserError: if Kaggle could not process it.
        """
        status, version = self.find() or ("not created yet", 0)
        if status in FAILED:
            raise UserError(
                f"Kaggle could not process the data set {self.ref} (status {status}). Run it again."
            )
        return "not updated yet" if status == "ready" and version <= previous else status

    def sizes(self) -> dict[str, int]:
        """The files of the newest version, and their sizes in bytes."""
        sizes, token = dict[str, int](), None
        while True:
            page = kaggle_api.call(
                lambda token=token: self.api.dataset_list_files(self.ref, token, 200),  # type: ignore[misc]
                action=f"list the files of the data set {self.ref}",
            )
            sizes |= {file.name: file.total_bytes for file in page.dataset_files}
            token = page.next_page_token
            if not token:
                return sizes


def write_metadata(folder: Path, ref: str, title: str) -> None:
    """Source: the client's docs/datasets_metadata.md."""
    files.write_json(
        folder / METADATA, {"title": title, "id": ref, "licenses": [{"name": "other"}]}
    )


def wait_for(
    request: Callable[[], str], expected: str, subject: str, deadline: float, hint: str = ""
) -> None:
    """Poll a status at growing intervals until it is `expected`; print every new one.

    Raises:
        UserError: at the `deadline` (of `time.monotonic`), with a `hint` what to do then.
    """
    pause, previous = MIN_PAUSE_SECONDS, ""
    while (status := request()) != expected:
        if status != previous:
            console.say(f"{subject}: {status}")
        if time.monotonic() + pause > deadline:
            raise UserError(f"timed out waiting for {subject} (status {status}). {hint}".rstrip())
        time.sleep(pause)
        pause, previous = min(1.5 * pause, MAX_PAUSE_SECONDS), status
    console.say(f"{subject}: {expected}")
