"""The trainings of a notebook: the cluster's driver, with this machine's GPUs."""

import asyncio
import time
from pathlib import Path
from typing import Any

from podium.cluster import local
from podium.cluster.driver import Driver
from podium.cluster.job import Job
from podium.cluster.nodes import Request
from podium.cluster.pipeline import Pipeline
from podium.cluster.view import View
from podium.core import files, program
from podium.core.errors import UserError, examples
from podium.kaggle_gpu import layout
from podium.training.status import Status

WRITE_SECONDS = 5.0  # between two updates of the progress


class ProgressView(View):
    """Also writes how long each training run took, and what is left of it."""

    def __init__(self) -> None:
        """Print to stdout."""
        super().__init__()
        self.started, self.progress = dict[str, float](), dict[str, dict[str, float | None]]()
        self.written_at = 0.0

    def set(self, name: str, state: str, *, node: str = "") -> None:
        """Change a row's state."""
        super().set(name, state, node=node)
        if state == "starting":
            self.started.setdefault(name, time.monotonic())
        elif state == "done":
            self._note(name, 0.0)

    def status(self, name: str, content: bytes) -> None:
        """Read the status of a training run."""
        super().status(name, content)
        status = Status.read(content)
        self._note(name, None if status is None else status.left)

    def _note(self, name: str, left: float | None) -> None:
        spent = time.monotonic() - self.started.get(name, time.monotonic())
        self.progress[name] = {"spent": spent, "left": left}
        if left == 0 or time.monotonic() - self.written_at > WRITE_SECONDS:
            self.written_at = time.monotonic()
            files.write_json(layout.PROGRESS, self.progress)


def main() -> None:
    """Run the jobs of work.json, one per GPU or, with shards, on several.

    Raises:
        UserError: if a stage fails, or the data here differ from those on the driver.
    """
    work: dict[str, Any] = files.read_json(layout.WORK)
    pipeline = Pipeline(Path.cwd())
    outs = pipeline.outs()
    if changed := [out for out, digest in work["data"].items() if outs.get(out) != digest]:
        raise UserError(
            f"The competition's files on Kaggle give other data than yours: {examples(changed)}. "
            "Download them again (`rm -r data/raw`, competition.source: kaggle), then run "
            "`dvc repro folds`."
        )
    jobs = [
        (Job(job["model"], job["fold"], (*job["stages"],)), job["gpus"]) for job in work["jobs"]
    ]
    with local.connect(Path.cwd(), pipeline.object_path) as cluster, ProgressView() as view:
        # The number of epochs on all folds is that of the folds: these models come last.
        for is_last in (False, True):
            for gpus in sorted({gpus for _, gpus in jobs}):
                selected = [j for j, n in jobs if n == gpus and (j.fold == "all") == is_last]
                if not selected:
                    continue
                request = Request(gpus, None, environment(work))
                driver = Driver(cluster, pipeline, request, versions={}, view=view)
                asyncio.run(driver.run(selected, tree(work)))
                # Models of all folds need the folds' scores. Other results are not needed here.
                pipeline.restore([stage for job in selected for stage in job.stages])


def environment(work: dict[str, Any]) -> dict[str, str]:
    """The environment of the stages: that of the driver, installed packages, downloaded weights."""
    hub = {"HF_HUB_CACHE": str(layout.HUB.absolute()), "HF_HUB_OFFLINE": "1"}
    return {**work["environment"], **hub, "PYTHONPATH": str(layout.WHEELS.absolute())}


def tree(work: dict[str, Any]) -> dict[str, bytes]:
    """The snapshot that the stages run in: with dvc.lock as it is now, and the user's params."""
    stored = {"params.yaml": layout.USER_PARAMS}
    unsent = (f"{layout.HUB}/", ".dvc/", ".checkpoints/", layout.NOTEBOOK_PARAMS.name)
    names = [name for name in (*work["files"], *work["blobs"]) if not name.startswith(unsent)]
    return {name: Path(stored.get(name, name)).read_bytes() for name in names}


if __name__ == "__main__":
    program.run(main)
