"""Push an export to Kaggle: upload its data set, run its kernel, submit the output."""

import io
import json
import os
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import requests

from podium.competition import kaggle_api
from podium.core import console
from podium.core.errors import UserError, examples
from podium.kaggle import submit
from podium.kaggle.kernel.export import ExportName

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0  # between two status requests
METADATA = "dataset-metadata.json"
OUTPUT = "submission.csv"  # written by the kernel
FAILED = {"error", "cancel_requested", "cancel_acknowledged"}

T = TypeVar("T")


def default_owner() -> str:
    """The owner of an export without a login: KAGGLE_USERNAME.

    Raises:
        UserError: if it is not set.
    """
    if owner := os.environ.get("KAGGLE_USERNAME"):
        return owner
    raise UserError(
        "the owner of the data set and the kernel is unknown. Give your Kaggle user name "
        "(`make kernel OWNER=…`) or set KAGGLE_USERNAME."
    )


class KernelClient:
    """The official client, logged in."""

    def __init__(self) -> None:
        """Log in. Raises: UserError: as in `kaggle_api.login`."""
        self.api = kaggle_api.login()
        self.user: str = self.api.config_values["username"]

    def push(
        self, folder: Path, name: ExportName, *, competition: str, wait_minutes: float, message: str
    ) -> tuple[int, int]:
        """Upload the export in `folder`, wait until its kernel has run, and submit its output.

        Returns the submission's number and the kernel's version.

        Raises:
            UserError: if Kaggle rejects something, the kernel fails, or `wait_minutes` are over.
        """
        deadline = time.monotonic() + 60 * wait_minutes
        previous = self._upload_dataset(folder / "dataset", name)
        wait_for(
            lambda: self._dataset_status(name, previous), "ready", f"data set {name.ref}", deadline
        )
        version = self._push_kernel(folder / "kernel", name, competition)
        console.say(f"kernel {name.ref}: version {version} pushed")
        command = (
            f"kaggle competitions submit {competition} -k {name.ref} -v {version} -f {OUTPUT} "
            "-m MESSAGE"
        )
        wait_for(
            lambda: self._kernel_status(name),
            "complete",
            f"kernel {name.ref}",
            deadline,
            hint=f"Submit it later with `{command}`.",
        )
        return self._submit(name, competition, version, message), version

    def _call(self, request: Callable[[], T], action: str, *, slug: str | None = None) -> T:
        return kaggle_api.call(request, action=action, slug=slug)

    def _upload_dataset(self, folder: Path, name: ExportName) -> int:
        """Create the data set or a version of it; return the number of the previous version.

        The client only prints which files it failed to upload, and creates a data set without
        them, so each upload must be confirmed in its output.
        """
        previous = self._dataset(name)

        def upload() -> tuple[Any, str]:
            with redirect_stdout(io.StringIO()) as output:
                if self._dataset(name) is not None:
                    response = self.api.dataset_create_version(str(folder), "make kernel")
                else:
                    response = self.api.dataset_create_new(str(folder))
            return response, output.getvalue()

        response, output = self._call(upload, f"upload the data set {name.ref}")
        if response is None or response.status.lower() != "ok":
            reason = getattr(response, "error", None) or "no reason given"
            raise UserError(f"Kaggle rejected the data set {name.ref}: {reason}")
        names = [path.name for path in folder.iterdir() if path.name != METADATA]
        if failed := sorted(n for n in names if f"Upload successful: {n} (" not in output):
            raise UserError(
                f"{len(failed)} of {len(names)} files of the data set {name.ref} were not "
                f"uploaded: {examples(failed)}. Run it again."
            )
        console.say(f"data set {name.ref}: {len(names)} files uploaded")
        return previous[1] if previous else 0

    def _dataset(self, name: ExportName) -> tuple[str, int] | None:
        """Status and version of the data set; None (Kaggle answers 403) if there is none."""

        def request() -> tuple[str, int] | None:
            try:
                status = json.loads(self.api.dataset_status(name.ref, format="json"))
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in (403, 404):
                    return None
                raise
            return status["status"], status["current_version_number"] or 0

        return self._call(request, f"get the status of the data set {name.ref}")

    def _dataset_status(self, name: ExportName, previous: int) -> str:
        status, version = self._dataset(name) or ("not created yet", 0)
        if status in ("failed", "deleted"):
            raise UserError(f"Kaggle could not process the data set {name.ref} (status {status}).")
        return "not updated yet" if status == "ready" and version <= previous else status

    def _push_kernel(self, folder: Path, name: ExportName, competition: str) -> int:
        """Push the kernel; return its version, which Kaggle reports only here."""
        response = self._call(
            lambda: self.api.kernels_push(str(folder)),
            f"push the kernel {name.ref}",
            slug=competition,
        )
        if response is None or response.error or not response.version_number:
            reason = getattr(response, "error", None) or "no version number"
            raise UserError(f"Kaggle rejected the kernel {name.ref}: {reason}")
        missing = [*response.invalid_dataset_sources, *response.invalid_competition_sources]
        if missing:
            raise UserError(
                f"Kaggle did not attach {examples(missing)} to the kernel {name.ref}. Check "
                "competition.slug, and accept the competition's rules."
            )
        return int(response.version_number)

    def _kernel_status(self, name: ExportName) -> str:
        response = self._call(
            lambda: self.api.kernels_status(name.ref), f"get the status of the kernel {name.ref}"
        )
        status = str(response.status.name).lower()
        if status in FAILED:
            raise UserError(
                f"kernel {name.ref} failed with status {status}: "
                f"{response.failure_message or 'no reason given'}. See its log at "
                f"https://www.kaggle.com/code/{name.ref}"
            )
        return status

    def _submit(self, name: ExportName, competition: str, version: int, message: str) -> int:
        return submit.submit_once(
            self.api,
            competition,
            message,
            action=f"submit version {version} of {name.ref}",
            request=lambda: self.api.competition_submit_code(
                OUTPUT, message, competition, kernel=name.ref, kernel_version=version, quiet=True
            ),
        )


def wait_for(
    request: Callable[[], str], expected: str, subject: str, deadline: float, hint: str = ""
) -> None:
    """Poll a status, less and less often, until it is `expected`; print every new one.

    Raises:
        UserError: if that takes longer than `deadline`, with a `hint` what to do then.
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
