"""The trackers, driven through accelerate, and their specifics: where each writes, how it continues
a run, and how it logs an image.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from filelock import FileLock

from podium.config.trackers import WITHOUT_LOGIN
from podium.core import files, paths

IMAGE = "worst predictions"
LAST = "seconds"  # the last value written per epoch
WANDB_SECONDS = 30.0  # timeout of the start and of the final upload


class RunName(NamedTuple):
    """What identifies the run of a tracker."""

    project: str
    name: str  # model and fold
    id: str  # includes a hash of everything that determines the result
    folder: Path  # for trackers that write files


class Kind:
    """A tracker of one training run."""

    name = ""

    def __init__(self, run: RunName) -> None:
        """Only store the arguments; `start` starts the run."""
        self.run = run
        self.tracker: GeneralTracker = None

    @classmethod
    def is_local(cls) -> bool:
        """Whether what is logged stays on this machine."""
        return True

    def start(self) -> int:
        """Start or continue the run. Returns the last epoch that the tracker has, or 0."""
        raise NotImplementedError

    def config(self, values: dict[str, Any]) -> None:
        """Log the settings."""
        self.tracker.store_init_configuration(values)

    def log(self, values: dict[str, float], *, step: int) -> None:
        """Log the numbers of an epoch."""
        self.tracker.log(values, step=step)

    def image(self, pixels: np.ndarray, *, step: int) -> None:
        """Log an image, uint8 [H, W, 3]."""
        raise NotImplementedError

    def end(self, *, finished: bool) -> None:  # noqa: ARG002
        """End the run, as finished or as interrupted."""
        self.tracker.finish()

    def _start(self, *arguments: Any, **options: Any) -> None:
        self.tracker = LOGGER_TYPE_TO_CLASS[self.name](*arguments, **options)
        self.tracker.start()


class TensorBoard(Kind):
    """Event files in runs/<project>/<id>."""

    name = "tensorboard"
    _has_config = False

    def start(self) -> int:
        """See `Kind`."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        project = self.run.folder / "runs" / self.run.project
        folder, logged = project / self.run.id, 0
        if folder.exists():
            events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1})
            events.Reload()
            if LAST in events.Tags()["scalars"]:
                logged = max(event.step for event in events.Scalars(LAST))
            else:
                files.remove(folder)
        self._has_config = logged > 0
        self._start(self.run.id, project, purge_step=logged + 1)
        return logged

    def config(self, values: dict[str, Any]) -> None:
        """See `Kind`. Each call would add a run of its own to TensorBoard's list."""
        if not self._has_config:
            super().config(values)

    def image(self, pixels: np.ndarray, *, step: int) -> None:
        """See `Kind`."""
        self.tracker.log_images({IMAGE: pixels[None]}, step=step, dataformats="NHWC")


class WandB(Kind):
    """Weights & Biases; its files are in wandb/."""

    name = "wandb"

    @classmethod
    def is_local(cls) -> bool:
        """See `Kind`."""
        return os.environ.get("WANDB_MODE") in WITHOUT_LOGIN

    def start(self) -> int:
        """See `Kind`. Offline, a killed process leaves an incomplete file, which is replaced."""
        import wandb

        if self.is_local():
            for folder in (self.run.folder / "wandb").glob(f"offline-run-*-{self.run.id}"):
                files.remove(folder)

        settings = wandb.Settings(
            console="off",  # DVC reads our output
            disable_git=True,  # the remote's URL may contain a password
            init_timeout=WANDB_SECONDS,
            finish_timeout=WANDB_SECONDS,
            max_end_of_run_history_metrics=0,
            max_end_of_run_summary_metrics=0,
        )
        self._start(
            os.environ.get("WANDB_PROJECT") or self.run.project,
            id=self.run.id,
            name=self.run.name,
            resume="allow",
            dir=self.run.folder,
            settings=settings,
        )
        return max(0, self.tracker.tracker.step - 1)

    def log(self, values: dict[str, float], *, step: int) -> None:
        """See `Kind`. `commit`: else the last epoch is lost if the process is killed."""
        self.tracker.log(values, step=step, commit=True)

    def image(self, pixels: np.ndarray, *, step: int) -> None:
        """See `Kind`. Steps must increase, and that of the epoch is already committed."""
        next_step = max(step, self.tracker.tracker.step)
        self.tracker.log_images({IMAGE: [pixels]}, step=next_step, commit=True)

    def end(self, *, finished: bool) -> None:
        """See `Kind`."""
        self.tracker.tracker.finish(exit_code=int(not finished))


class MLflow(Kind):
    """A server if MLFLOW_TRACKING_URI names one, else files in mlruns/."""

    name = "mlflow"

    @classmethod
    def is_local(cls) -> bool:
        """See `Kind`."""
        return "MLFLOW_TRACKING_URI" not in os.environ

    def start(self) -> int:
        """See `Kind`."""
        # By default, an unreachable server blocks training for many minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        # The server's URL, which it prints at the end, may contain a password.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        if self.is_local():
            mlflow.set_tracking_uri((self.run.folder / "mlruns").absolute().as_uri())
        mlflow.end_run("KILLED")  # of a failed attempt
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", self.run.project)
        known = mlflow.search_experiments(filter_string=f"name = '{experiment}'")
        earlier = mlflow.search_runs(
            [found.experiment_id for found in known],
            filter_string=f"tags.`podium.run` = '{self.run.id}'",
            output_format="list",
        )
        run_id = earlier[0].info.run_id if earlier else None
        with FileLock(self.run.folder / paths.CHECKPOINTS / "mlflow.lock"):  # against a race
            self._start(experiment, run_id=run_id, run_name=self.run.name)
        mlflow.set_tag("podium.run", self.run.id)
        history = mlflow.MlflowClient().get_metric_history(self.tracker.tracker.info.run_id, LAST)
        return max((metric.step for metric in history), default=0)

    def image(self, pixels: np.ndarray, *, step: int) -> None:
        """See `Kind`."""
        import mlflow

        mlflow.log_image(pixels, artifact_file=f"{IMAGE.replace(' ', '_')}-{step}.png")

    def end(self, *, finished: bool) -> None:
        """See `Kind`."""
        import mlflow

        mlflow.end_run("FINISHED" if finished else "KILLED")


class Trackio(Kind):
    """Trackio's database, which is outside of the project's folder unless TRACKIO_DIR is set."""

    name = "trackio"

    def start(self) -> int:
        """See `Kind`."""
        self._start(self.run.project, name=self.run.id, group=self.run.name, resume="allow")
        last: int = self.tracker.tracker._next_step - 1
        return max(0, last)

    def image(self, pixels: np.ndarray, *, step: int) -> None:
        """See `Kind`."""
        import trackio

        self.tracker.log({IMAGE: trackio.Image(pixels)}, step=step)


KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (TensorBoard, WandB, MLflow, Trackio)}
