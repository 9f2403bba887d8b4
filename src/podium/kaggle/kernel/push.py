"""Push an export to Kaggle: upload its data set, run its kernel, submit the output."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.competition import kaggle_api
from podium.core import console
from podium.core.errors import UserError, examples
from podium.kaggle.datasets import Dataset, wait_for
from podium.kaggle.kernel.export import ExportName

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
        dataset = Dataset(self.api, ref)
        previous = dataset.upload(folder / "dataset", "make kernel")
        wait_for(lambda: dataset.status(previous), "ready", f"data set {ref}", deadline)
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
