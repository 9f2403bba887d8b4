"""Notebooks on Kaggle: push one, follow its log, get its output. Uses the official client only."""

import contextlib
import io
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

from podium.competition import kaggle_api
from podium.core import files
from podium.core.errors import UserError, examples
from podium.kaggle.datasets import MISSING
from podium.kaggle_gpu import code, results
from podium.kaggle_gpu.state import Notebook

MAX_DOWNLOADS = 3  # of a file whose checksum is wrong
MAX_PAGES = 5  # of the list of notebooks
MIN_CLIENT = (2, 2)
SPARE_HOURS = 0.5  # for the results, before Kaggle ends the notebook
ADVICE = (
    (r"quota", "Kaggle's weekly GPU hours are used up. Rerun when they are renewed."),
    (r"session count", "Other notebooks of yours are running. Rerun when one has ended."),
    (r"phone|verif", "Verify your phone number at https://www.kaggle.com/settings."),
)

T = TypeVar("T")


@dataclass(frozen=True)
class Quota:
    """The GPU hours of the week."""

    used: float
    total: float
    renewed: str  # date and time, UTC

    @property
    def left(self) -> float:
        """The hours that are left."""
        return max(0.0, self.total - self.used)


@dataclass(frozen=True)
class Client:
    """The official client `api`, logged in."""

    api: Any

    def check_version(self) -> None:
        """Raises: UserError: if the installed client lacks what is needed here."""
        import kaggle

        version = tuple(int(part) for part in re.findall(r"\d+", kaggle.__version__)[:2])
        if version < MIN_CLIENT or not hasattr(self.api, "kernels_logs_stream"):
            raise UserError(
                f"The client kaggle {kaggle.__version__} is too old to train on Kaggle. Run "
                "`pip install -r requirements.txt`."
            )

    @property
    def owner(self) -> str:
        """The user who is logged in."""
        return str(self.api.config_values["username"])

    def call(self, request: Callable[[], T], *, action: str, slug: str | None = None) -> T:
        """As `kaggle_api.call`; says so if Kaggle has a newer client."""
        try:
            return kaggle_api.call(request, action=action, slug=slug)
        except UserError as error:
            if getattr(self.api, "already_printed_version_warning", False):
                hint = "Kaggle has a newer client: `pip install --upgrade kaggle`, then rerun."
                raise UserError(f"{error}\n  {hint}") from None
            raise

    def check_competition(self, slug: str) -> None:
        """Raises: UserError: if Kaggle has no competition `slug`, or denies access to its files."""

        def request() -> bool:
            try:
                self.api.competition_list_files(slug, page_size=1)
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in MISSING:
                    return False
                raise
            return True

        if not self.call(request, action=f"list the files of the competition {slug}"):
            raise UserError(
                f"competition.slug: Kaggle has no competition {slug!r}, or you have not accepted "
                f"its rules (https://www.kaggle.com/competitions/{slug}/rules). Accept them, or "
                "set the name in the competition's URL. Data that are not on Kaggle train on this "
                "machine (`dvc repro`) or a cluster (docs/cluster.md)."
            )

    def quota(self) -> Quota | None:
        """The GPU hours of this week; None if Kaggle does not say."""

        def request() -> Any:
            try:
                return self.api.quota_view()
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in MISSING:
                    return None
                raise

        response = self.call(request, action="get the GPU quota")
        if response is None or response.gpu_quota is None:
            return None
        gpu = response.gpu_quota
        used, reserved, total = (
            0.0 if time is None else time.total_seconds() / 3600
            for time in (gpu.time_used, gpu.time_reserved, gpu.total_time_allowed)
        )
        renewed = response.quota_refresh_time
        when = f"{renewed:%Y-%m-%d %H:%M} UTC" if renewed else "the end of the week"
        return Quota(used + reserved, total, when)

    def status(self, ref: str) -> tuple[str, str] | None:
        """The status of the notebook's newest version, and Kaggle's message if it failed. None if
        there is no such notebook.
        """

        def request() -> tuple[str, str] | None:
            try:
                response = self.api.kernels_status(ref)
            except (requests.HTTPError, ValueError) as error:  # the client replaces the first
                cause = error if isinstance(error, requests.HTTPError) else error.__context__
                answer = getattr(cause, "response", None)
                if answer is not None and answer.status_code in MISSING:
                    return None
                raise
            return str(response.status.name).lower(), response.failure_message or ""

        return self.call(request, action=f"get the status of the notebook {ref}")

    def push(self, notebook: Notebook) -> int:
        """Push a notebook, which runs then; return Kaggle's number for it. If the answer is lost,
        Kaggle is asked whether it has the notebook, so it is not pushed twice.

        Raises:
            UserError: if Kaggle rejects it, with what to do.
        """
        retries = kaggle_api.Retries(f"push the notebook {notebook.ref}", notebook.competition)
        with tempfile.TemporaryDirectory() as folder:
            code.write(Path(folder), notebook)
            timeout = str(round(3600 * (notebook.hours + SPARE_HOURS)))
            while True:
                try:
                    with _silent():
                        response = self.api.kernels_push(folder, timeout, notebook.machine)
                    break
                except ValueError as error:
                    raise UserError(
                        f"failed to {retries.action}: {kaggle_api.redacted(error)}"
                    ) from None
                except requests.RequestException as error:
                    if self.status(notebook.ref) is not None:
                        return 0
                    retries.wait(error)
        if response is None or response.error:
            reason = getattr(response, "error", None) or "no reason given"
            advice = [text for pattern, text in ADVICE if re.search(pattern, reason, re.IGNORECASE)]
            raise UserError(
                f"Kaggle rejected the notebook {notebook.ref}: {reason.rstrip('.')}. "
                f"{advice[0] if advice else 'Fix this and rerun.'}"
            )
        missing = [*response.invalid_dataset_sources, *response.invalid_competition_sources]
        if missing:
            rules = f"https://www.kaggle.com/competitions/{notebook.competition}/rules"
            raise NotAttachedError(
                f"Kaggle did not attach {examples(missing)} to the notebook {notebook.ref}. "
                f"Accept the competition's rules ({rules}), check competition.slug, and rerun."
            )
        return int(response.kernel_id or 0)

    def renamed(self, kernel_id: int) -> str | None:
        """The name of the notebook with Kaggle's number `kernel_id`, if it is still there."""
        for page in range(1, MAX_PAGES + 1):
            notebooks = self.call(
                lambda page=page: self.api.kernels_list(page=page, page_size=100, mine=True),  # type: ignore[misc]
                action="list your notebooks",
            )
            for notebook in notebooks or ():
                if kernel_id and notebook.id == kernel_id:
                    return str(notebook.ref)
            if not notebooks:
                break
        return None

    def outcome(self, ref: str, folder: Path) -> dict[str, Any]:
        """Download what a finished notebook says about itself.

        Raises:
            UserError: if it wrote nothing.
        """
        path = folder / results.OUTCOME
        for _ in range(MAX_DOWNLOADS):
            self._output(ref, folder, re.escape(results.OUTCOME))
            with contextlib.suppress(UserError):
                outcome: dict[str, Any] = files.read_json(path)
                if "files" in outcome:  # the client writes whatever Kaggle answers
                    return outcome
        raise UserError(
            f"The notebook {ref} has no readable output. See its log: "
            f"https://www.kaggle.com/code/{ref}"
        )

    def download(self, ref: str, name: str, sha256: str, folder: Path) -> Path:
        """Download a file of a notebook's output to `folder`, unless it is there.

        Raises:
            UserError: if its checksum stays wrong.
        """
        path = folder / name
        for _ in range(MAX_DOWNLOADS):
            if path.exists() and results.sha256(path) == sha256:
                return path
            self._output(ref, folder, re.escape(name))
        if path.exists() and results.sha256(path) == sha256:
            return path
        raise UserError(f"{name} of the notebook {ref} is damaged after each download. Rerun.")

    def _output(self, ref: str, folder: Path, pattern: str) -> None:
        self.call(
            lambda: self.api.kernels_output(ref, str(folder), f"^{pattern}$", force=True),
            action=f"download the output of the notebook {ref}",
        )


class NotAttachedError(UserError):
    """The notebook was pushed, but lacks some of its data."""


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield
