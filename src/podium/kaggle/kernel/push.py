"""Push an export to Kaggle: upload its data set, run its kernel, submit the output."""

import io
import json
import os
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from podium.competition import kaggle_api
from podium.core import console
from podium.core.errors import UserError, examples
from podium.kaggle.kernel.export import ExportName

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0  # between two status requests
METADATA = "dataset-metadata.json"
OUTPUT = "submission.csv"  # written by the kernel
FAILED = {"error", "cancel_requested", "cancel_acknowledged"}


def default_owner(api: Any | None) -> str:
    """The owner of an export: the user who is logged in, or without a login KAGGLE_USERNAME.

    Raises:
        UserError: if it is not set.
    """
    if owner := api.config_values["username"] if api else os.environ.get("KAGGLE_USERNAME"):
        return str(owner)
    raise UserError(
        "the owner of the data set and the kernel is unknown. Give your Kaggle user name "
        "(`make kernel OWNER=…`) or set KAGGLE_USERNAME."
    )


@dataclass(frozen=True)
class KernelClient:
    """The official client `api`, logged in, with one export to push."""

    api: Any
    name: ExportName
    competition: str

    def run(self, folder: Path, *, wait_minutes: float) -> int:
        """Upload the export in `folder`, run its kernel, and return the kernel's version.

        Raises:
            UserError: if Kaggle rejects something, the kernel fails, or `wait_minutes` are over.
        """
        ref, competition = self.name.ref, self.competition
        deadline = time.monotonic() + 60 * wait_minutes
        previous = self._upload_dataset(folder / "dataset")
        wait_for(lambda: self._dataset_status(previous), "ready", f"data set {ref}", deadline)
        version = self._push_kernel(folder / "kernel")
        console.say(f"kernel {ref}: version {version} pushed")
        command = f"kaggle competitions submit {competition} -k {ref} -v {version} -f {OUTPUT}"
        hint = f"Submit it later with `{command} -m MESSAGE`."
        wait_for(self._kernel_status, "complete", f"kernel {ref}", deadline, hint)
        return version

    def submit(self, version: int, message: str) -> Any:
        """Submit the output of a version of the kernel, and return the client's response."""
        return self.api.competition_submit_code(
            OUTPUT,
            message,
            self.competition,
            kernel=self.name.ref,
            kernel_version=version,
            quiet=True,
        )

    def _upload_dataset(self, folder: Path) -> int:
        """Create the data set or a version of it; return the number of the previous version.

        The client only prints which files it failed to upload, and creates a data set without
        them, so each upload must be confirmed in its output.
        """
        ref, previous = self.name.ref, self._dataset()

        def upload() -> tuple[Any, str]:
            with redirect_stdout(io.StringIO()) as output:
                if self._dataset() is not None:
                    response = self.api.dataset_create_version(str(folder), "make kernel")
                else:
                    response = self.api.dataset_create_new(str(folder))
            return response, output.getvalue()

        response, output = kaggle_api.call(upload, action=f"upload the data set {ref}")
        if response is None or response.status.lower() != "ok":
            reason = getattr(response, "error", None) or "no reason given"
            raise UserError(
                f"Kaggle rejected the data set {ref}. Fix this and run it again: {reason}"
            )
        names = [path.name for path in folder.iterdir() if path.name != METADATA]
        if failed := sorted(n for n in names if f"Upload successful: {n} (" not in output):
            raise UserError(
                f"{len(failed)} of {len(names)} files of the data set {ref} were not uploaded: "
                f"{examples(failed)}. Run it again."
            )
        console.say(f"data set {ref}: {len(names)} files uploaded")
        return previous[1] if previous else 0

    def _dataset(self) -> tuple[str, int] | None:
        """Status and version of the data set; None (Kaggle answers 403) if there is none."""

        def request() -> tuple[str, int] | None:
            try:
                status = json.loads(self.api.dataset_status(self.name.ref, format="json"))
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in (403, 404):
                    return None
                raise
            return status["status"], status["current_version_number"] or 0

        return kaggle_api.call(request, action=f"get the status of the data set {self.name.ref}")

    def _dataset_status(self, previous: int) -> str:
        status, version = self._dataset() or ("not created yet", 0)
        if status in ("failed", "deleted"):
            raise UserError(
                f"Kaggle could not process the data set {self.name.ref} (status {status}). Run it "
                "again."
            )
        return "not updated yet" if status == "ready" and version <= previous else status

    def _push_kernel(self, folder: Path) -> int:
        """Push the kernel; return its version, which Kaggle reports only here."""
        ref = self.name.ref
        response = kaggle_api.call(
            lambda: self.api.kernels_push(str(folder)),
            action=f"push the kernel {ref}",
            slug=self.competition,
        )
        if response is None or response.error or not response.version_number:
            reason = getattr(response, "error", None) or "no version number"
            raise UserError(
                f"Kaggle rejected the kernel {ref}. Fix this and run it again: {reason}"
            )
        missing = [*response.invalid_dataset_sources, *response.invalid_competition_sources]
        if missing:
            raise UserError(
                f"Kaggle did not attach {examples(missing)} to the kernel {ref}. Check "
                "competition.slug, and accept the competition's rules."
            )
        return int(response.version_number)

    def _kernel_status(self) -> str:
        ref = self.name.ref
        response = kaggle_api.call(
            lambda: self.api.kernels_status(ref), action=f"get the status of the kernel {ref}"
        )
        status = str(response.status.name).lower()
        if status in FAILED:
            raise UserError(
                f"kernel {ref} failed with status {status}: "
                f"{response.failure_message or 'no reason given'}. See its log at "
                f"https://www.kaggle.com/code/{ref}."
            )
        return status


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
