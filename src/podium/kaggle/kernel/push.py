"""An export to Kaggle: its data set, its kernel, and the submission of what that has made."""

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
from podium.kaggle import submit as submitting
from podium.kaggle.kernel.export import Names

PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two questions of how far something is
DATASET_METADATA = "dataset-metadata.json"
OUTPUT = "submission.csv"  # that the kernel writes
ENDED = {"error", "cancel_requested", "cancel_acknowledged"}

T = TypeVar("T")


def default_owner() -> str:
    """Whose export it is, where nobody says and nobody logs in.

    Raises:
        UserError: if the environment does not say either.
    """
    if owner := os.environ.get("KAGGLE_USERNAME"):
        return owner
    raise UserError(
        "the data set and the kernel need an owner: give your name on Kaggle (`make kernel "
        "OWNER=…`), or set KAGGLE_USERNAME"
    )


class Kaggle:
    """The official client, logged in."""

    def __init__(self) -> None:
        """Log in. Raises: UserError: as of `kaggle_client.login`."""
        self.api = kaggle_api.login()
        self.user: str = self.api.config_values["username"]

    def push(
        self, folder: Path, called: Names, *, competition: str, minutes: float, message: str
    ) -> tuple[int, int]:
        """Send the export in `folder`, wait until its kernel has run, at most so many `minutes`,
        and submit what that has made. Gives the submission's number and the kernel's version.

        Raises:
            UserError: for what Kaggle refuses, a kernel that fails, and the end of the wait.
        """
        until = time.monotonic() + 60 * minutes
        before = self._send_dataset(folder / "dataset", called)
        wait(lambda: self._dataset_state(called, before), "ready", f"data set {called.ref}", until)
        version = self._push_kernel(folder / "kernel", competition)
        console.say(f"kernel {called.ref}: version {version} pushed")
        later = (
            f"once it is complete: `kaggle competitions submit {competition} -k {called.ref} "
            f"-v {version} -f {OUTPUT} -m MESSAGE`"
        )
        wait(lambda: self._kernel_state(called), "complete", f"kernel {called.ref}", until, later)
        return self._submit(called, competition, version, message), version

    def _ask(self, work: Callable[[], T], doing: str, *, slug: str | None = None) -> T:
        return kaggle_api.call(work, doing=doing, advice=kaggle_api.advice(slug))

    def _send_dataset(self, folder: Path, called: Names) -> int:
        """Create the data set, or a version of it; gives the number of the version before. The
        client only prints which files it could not upload, and makes a data set without them: each
        must be said to have arrived.
        """
        before = self._dataset(called)

        def send() -> tuple[Any, str]:
            with redirect_stdout(io.StringIO()) as said:
                if self._dataset(called) is not None:
                    answer = self.api.dataset_create_version(str(folder), "make kernel")
                else:
                    answer = self.api.dataset_create_new(str(folder))
            return answer, said.getvalue()

        answer, said = self._ask(send, f"take the data set {called.ref}")
        if answer is None or answer.status.lower() != "ok":
            error = getattr(answer, "error", None) or "it gave no reason"
            raise UserError(f"Kaggle did not take the data set {called.ref}: {error}")
        wanted = [path.name for path in folder.iterdir() if path.name != DATASET_METADATA]
        if lost := sorted(n for n in wanted if f"Upload successful: {n} (" not in said):
            raise UserError(
                f"{len(lost)} of {len(wanted)} files of the data set {called.ref} did not arrive: "
                f"{examples(lost)}; run it again"
            )
        console.say(f"data set {called.ref}: {len(wanted)} files sent")
        return before[1] if before else 0

    def _dataset(self, called: Names) -> tuple[str, int] | None:
        """Status and version of the data set; None where there is none: that is answered as 403."""

        def ask() -> tuple[str, int] | None:
            try:
                found = json.loads(self.api.dataset_status(called.ref, format="json"))
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in (403, 404):
                    return None
                raise
            return found["status"], found["current_version_number"] or 0

        return self._ask(ask, "tell the state of the data set")

    def _dataset_state(self, called: Names, before: int) -> str:
        state, version = self._dataset(called) or ("not there yet", 0)
        if state in ("failed", "deleted"):
            raise UserError(f"Kaggle could not take in the data set {called.ref}: it is {state}")
        return "as it was before" if state == "ready" and version <= before else state

    def _push_kernel(self, folder: Path, competition: str) -> int:
        """Gives the version's number, which Kaggle tells here and nowhere else."""
        answer = self._ask(
            lambda: self.api.kernels_push(str(folder)), "take the kernel", slug=competition
        )
        if answer is None or answer.error or not answer.version_number:
            error = getattr(answer, "error", None) or "it gave no version number"
            raise UserError(f"Kaggle did not take the kernel: {error}")
        refused = [*answer.invalid_dataset_sources, *answer.invalid_competition_sources]
        if refused:
            raise UserError(
                f"Kaggle took the kernel without {examples(refused)}: is the competition's name "
                "right, and are its rules accepted?"
            )
        return int(answer.version_number)

    def _kernel_state(self, called: Names) -> str:
        answer = self._ask(
            lambda: self.api.kernels_status(called.ref), "tell the state of the kernel"
        )
        state = str(answer.status.name).lower()
        if state in ENDED:
            why = answer.failure_message or "no reason given"
            raise UserError(
                f"the kernel {called.ref} has not run through, it is {state}: {why}; its log: "
                f"https://www.kaggle.com/code/{called.ref}"
            )
        return state

    def _submit(self, called: Names, competition: str, version: int, message: str) -> int:
        def submit() -> Any:
            return self.api.competition_submit_code(
                OUTPUT, message, competition, kernel=called.ref, kernel_version=version, quiet=True
            )

        doing = f"take the submission of {called.ref}"
        return submitting.send(self.api, competition, message, doing=doing, work=submit)


def wait(ask: Callable[[], str], wanted: str, what: str, until: float, later: str = "") -> None:
    """Ask for a state, less and less often, until it is `wanted`; print each new one.

    Raises:
        UserError: if that takes longer than `until`; `later` says what to do then.
    """
    pause, before = PAUSE, ""
    while (state := ask()) != wanted:
        if state != before:
            console.say(f"{what}: {state}")
        if time.monotonic() + pause > until:
            hint = f"; {later}" if later else ""
            raise UserError(f"the {what} is {state}, not {wanted}, at the end of the wait{hint}")
        time.sleep(pause)
        pause, before = min(1.5 * pause, LONGEST_PAUSE), state
    console.say(f"{what}: {wanted}")
