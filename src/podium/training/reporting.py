"""Report a project's training run: status file, experiment trackers, total time left."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from podium.config import trackers
from podium.config.folds import Folds
from podium.config.models import Model
from podium.config.trackers import Trackers
from podium.core import console, paths, signals
from podium.core.paths import Fold
from podium.core.provenance import TrainingProvenance
from podium.core.section import Slug
from podium.models import device
from podium.scoring.metrics import Metric
from podium.training import driver_lock, status
from podium.training.build import Components
from podium.training.printing import PRINTER, Reporter, print_epoch
from podium.training.processes import Processes
from podium.training.state import TrainState
from podium.training.status import Status, StatusFile
from podium.training.time_left import Trainings, is_measured, seconds_left, usual_seconds
from podium.training.tracker_kinds import KINDS, RunName
from podium.training.tracking import Tracking

# Sections that are read for reporting only: they do not affect the result.
SECTIONS = {
    "competition.slug": Slug,
    "models": dict[Slug, Model],
    "folds": Folds,
    "trackers": Trackers,
}
STATUS_SECONDS = 5.0  # between two updates within an epoch
# Set for tasks of a driver, which run in temporary folders: the folder for trackers' files, or
# empty on another machine.
FOLDER_VARIABLE = "PODIUM_TRACKING_DIR"


class Settings(NamedTuple):
    """The values of `SECTIONS`."""

    project: str
    models: dict[str, Model]
    folds: Folds
    trackers: list[str]


class ProjectReporter(Reporter):
    """Reports to the status file and to trackers, too."""

    def __init__(self, model: str, fold: Fold, settings: Settings, *, seed: int) -> None:
        """`seed`: for models without one.

        Raises:
            UserError: see `trackers.require`.
        """
        trackers.require(settings.trackers)
        self.model, self.fold, self.settings = model, fold, settings
        self.root, elsewhere = status.project_root(), os.environ.get(FOLDER_VARIABLE)
        self.is_task = elsewhere is not None  # of a driver, which prints the time left
        self.trainings = Trainings(settings.models, settings.folds, root=self.root, seed=seed)
        self.files = None if elsewhere == "" else Path(elsewhere or self.root)
        self.status_file = StatusFile(self.root, f"{model}-{fold}")
        self.device, self.metric, self.updated_at = "", "", time.monotonic()
        self.status_file.write(Status(model, str(fold), updated=self.updated_at, pid=os.getpid()))
        self.tracking: Tracking | None = None

    def begin(
        self,
        run: Components,
        state: TrainState,
        *,
        provenance: TrainingProvenance,
        training: str,
        code: str,
    ) -> None:
        """See `Reporter`."""
        self.device = device.name(run.accelerator.device)
        self.metric = provenance.metric
        if not self.is_task:
            self.trainings.identify(provenance, code)
        self._write_status(state)
        self._print_left(state)
        if self.tracking is None:
            self.tracking = self._start(training)
            train, valid = run.loaders.train.dataset, run.loaders.valid
            sizes = {"train_images": len(train), "valid_images": valid and len(valid.dataset)}
            shown = {key: value for key, value in provenance.to_json().items() if key != "classes"}
            precision = run.accelerator.mixed_precision
            config = {"model": self.model, **shown, **sizes, "precision": precision}
            self.tracking.begin(config, state.curves)

    def _start(self, training: str) -> Tracking:
        names = self.settings.trackers
        if self.files is None and (local := [name for name in names if KINDS[name].is_local()]):
            console.say(
                f"warning: {', '.join(local)}: not used on a node, since its files are temporary"
            )
            names = [name for name in names if name not in local]
        run = RunName(
            self.settings.project,
            paths.fold_name(self.model, self.fold).replace("/", "-"),
            f"{self.model[:64]}-{self.fold}-{training[:12]}",
            self.files or Path(),
        )
        return Tracking(names, run)

    def step(self, state: TrainState) -> None:
        """See `Reporter`."""
        if time.monotonic() - self.updated_at >= STATUS_SECONDS:
            self._write_status(state)

    def epoch(self, state: TrainState, *, metric: Metric, is_best: bool) -> None:
        """See `Reporter`."""
        self._write_status(state)
        total, seconds = "", self._seconds_left(state)
        if not self.is_task:
            left = self.trainings.left(
                (self.model, self.fold),
                status.running(self.root),
                seconds=seconds,
                spent=usual_seconds(state.curves),
            )
            total = str(left) if left.trainings > 1 and left.seconds is not None else ""
        print_epoch(state, metric=metric, is_best=is_best, left=seconds, total=total)
        # Epochs that are not logged now are logged when training resumes.
        if self.tracking is not None and not signals.stop_requested():
            self.tracking.log(state.curves)

    def finish(self, state: TrainState, draw: Callable[[], np.ndarray | None]) -> None:
        """See `Reporter`."""
        if not self.is_task:
            seconds = usual_seconds(state.curves)
            self.trainings.finish(self.model, self.fold, seconds)
        if self.tracking is not None:
            self.tracking.finish(draw)

    def close(self) -> None:
        """Called when the process ends."""
        self.status_file.close()
        if self.tracking is not None:
            self.tracking.close()

    def _print_left(self, state: TrainState) -> None:
        if self.is_task:
            return
        spent = usual_seconds(state.curves)
        this = (self.model, self.fold)
        left = self.trainings.left(this, status.running(self.root), spent=spent)
        if (count := len(self.trainings.names)) > 1:
            known = "" if left.seconds is None else f": {left} left in total"
            done = count - left.trainings
            console.say(f"{done} of {count} models and folds are trained{known}")

    def _seconds_left(self, state: TrainState) -> float | None:
        """The time left for this training run; None if it is not known yet."""
        curves, left = state.curves, dict[int, float](state.epochs_left)
        if not state.finished:
            left[state.progress.phase + 1] -= state.progress.step / state.steps_per_epoch
        if not (self.is_task or is_measured(curves, left)):
            spent = usual_seconds(curves)
            if (seconds := self.trainings.as_finished(self.model, spent=spent)) is not None:
                return seconds
        return seconds_left(curves, left)

    def _write_status(self, state: TrainState) -> None:
        self.updated_at = time.monotonic()
        progress, curves = state.progress, state.curves
        share = progress.step / state.steps_per_epoch
        best = None if state.best is None else state.best.epoch.score
        now = Status(
            self.model,
            str(self.fold),
            "" if self.is_task else self.trainings.key(self.model, self.fold),
            self.device,
            min(progress.phase + 1, len(state.config.phases)),
            len(state.config.phases),
            min(state.epoch, sum(state.epochs)),
            sum(state.epochs),
            share,
            curves[-1].score if curves else None,
            best,
            self._seconds_left(state),
            self.updated_at,
            pid=os.getpid(),
            metric=self.metric,
        )
        self.status_file.write(now)


@contextlib.contextmanager
def opened(
    processes: Processes,
    model: str,
    fold: Fold,
    settings: Settings,
    *,
    seed: int,
) -> Iterator[Reporter]:
    """The reporter: a `ProjectReporter` in the first of `processes`, else `PRINTER`.

    Raises:
        UserError: see `trackers.require` and `driver_lock.require_own_driver`.
    """
    if not processes.is_first:
        yield PRINTER
        return
    reporter = ProjectReporter(model, fold, settings, seed=seed)
    try:
        driver_lock.require_own_driver()  # one that starts now sees the status file
        yield reporter
    finally:
        reporter.close()
