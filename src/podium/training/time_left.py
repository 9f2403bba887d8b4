"""Estimate the time left to train all models and folds of params.yaml.

It is measured on this training run, on other active ones, and on finished ones of the same model.
Runs of a model that has not been measured are counted.
"""

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from podium.config.folds import Folds
from podium.config.models import Model
from podium.core import console, files, paths
from podium.core.errors import counted
from podium.core.paths import Fold
from podium.core.provenance import TrainingProvenance
from podium.training.epochs import Epoch
from podium.training.status import Status

FINISHED = paths.CHECKPOINTS / ".finished"  # one file per finished training run
RECENT = 5  # epochs


class _Phase(NamedTuple):
    """The times of a phase's epochs, in seconds. Medians, so that a pause of the process or the
    machine does not count.
    """

    epochs: list[float]  # without computing features
    features: list[float]  # each time they were computed, once per process

    @property
    def seconds(self) -> float:
        """How long it usually takes."""
        features = statistics.median_low(self.features) if self.features else 0.0
        return len(self.epochs) * statistics.median_low(self.epochs) + features


def _by_phase(curves: Sequence[Epoch]) -> dict[int, _Phase]:
    phases: dict[int, _Phase] = {}
    for epoch in curves:
        phase = phases.setdefault(epoch.phase, _Phase([], []))
        phase.epochs.append(epoch.seconds - epoch.feature_seconds)
        if epoch.feature_seconds:
            phase.features.append(epoch.feature_seconds)
    return phases


def is_measured(curves: Sequence[Epoch], epochs_left: Mapping[int, float]) -> bool:
    """Whether each phase that is left has had an epoch."""
    return epochs_left.keys() <= {epoch.phase for epoch in curves}


def seconds_left(curves: Sequence[Epoch], epochs_left: Mapping[int, float]) -> float | None:
    """How long `epochs_left` (by phase, from 1) take if each takes as long as the last ones of its
    phase. A phase that has not been measured is taken to be like the last one that trained on
    images; None without one, since epochs on features take much less.
    """
    measured = _by_phase(curves)
    times = {n: statistics.median_low(phase.epochs[-RECENT:]) for n, phase in measured.items()}
    on_images = [times[n] for n, phase in measured.items() if not phase.features]
    total = 0.0
    for number, epochs in epochs_left.items():
        time = times.get(number, on_images[-1] if on_images else None)
        if time is None:
            return None
        total += epochs * time
    return total


def usual_seconds(curves: Sequence[Epoch]) -> float:
    """How long all epochs take if each takes as long as the median of its phase."""
    return sum(phase.seconds for phase in _by_phase(curves).values())


class Left(NamedTuple):
    """The training runs that are left, including this one."""

    trainings: int
    seconds: float | None  # of those that are measured; None: none is
    unmeasured: int  # how many are not

    def __str__(self) -> str:
        """As "5 min", "5 min and 3 unmeasured runs", or "3 unmeasured runs"."""
        parts = [console.duration(self.seconds)] if self.seconds else []
        if self.unmeasured:
            parts.append(counted(self.unmeasured, "unmeasured run"))
        return " and ".join(parts) or console.duration(0.0)


class Trainings:
    """All models and folds of params.yaml."""

    def __init__(self, models: Mapping[str, Model], folds: Folds, *, root: Path, seed: int) -> None:
        """Those of the project at `root`. `seed`: for models without one."""
        self.models, self.root, self.seed = models, root, seed
        self.names: list[tuple[str, Fold]] = [(m, fold) for m in models for fold in folds.run]
        self.names += [(model, "all") for model in folds.all]
        self.shared: dict[str, Any] = {}

    def identify(self, provenance: TrainingProvenance, code: str) -> None:
        """Take data, metric and device from the provenance of one training run. `code` is the
        fingerprint of the code.
        """
        keys = ("folds_sha256", "images_sha256", "metric", "metric_sha256", "deterministic",
                "torch", "device")  # fmt: skip
        shared = {key: getattr(provenance, key) for key in keys}
        self.shared = {"seed": self.seed, "code": code, **shared}

    def key(self, model: str, fold: Fold | None) -> str:
        """Hash of what determines the result of a training run or, without a fold, the time that a
        model takes: models that differ in their seed take the same.
        """
        facts = {**self.shared, "config": self.models[model].model_dump(), "fold": fold}
        if fold is None:
            facts |= {"seed": None, "config": self.models[model].model_dump(exclude={"seed"})}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def finish(self, model: str, fold: Fold, seconds: float) -> None:
        """Record how long a training run took."""
        record = {"model": self.key(model, None), "seconds": seconds}
        files.write_json(self.root / FINISHED / f"{self.key(model, fold)}.json", record)

    def _finished(self) -> tuple[dict[str, list[float]], list[tuple[str, Fold]]]:
        """How long the finished training runs of each model took, and those that are not."""
        measured: dict[str, list[float]] = {}
        waiting = []
        for name in self.names:
            path = self.root / FINISHED / f"{self.key(*name)}.json"
            try:
                record = json.loads(path.read_bytes())
                measured.setdefault(record["model"], []).append(record["seconds"])
            except (OSError, ValueError, KeyError):
                waiting.append(name)
            else:
                if not (self.root / paths.weights(*name)).exists():
                    waiting.append(name)
        return measured, waiting

    def as_finished(self, model: str, *, spent: float) -> float | None:
        """How many seconds a training run needs after `spent` ones if it takes as long as the
        finished ones of the model; None without any.
        """
        seconds = self._finished()[0].get(self.key(model, None))
        return None if seconds is None else max(0.0, statistics.fmean(seconds) - spent)

    def left(
        self, this: tuple[str, Fold], running: Sequence[Status], *, seconds: float | None = None,
        spent: float = 0.0,
    ) -> Left:  # fmt: skip
        """What is left, given the active training runs. This one has taken `spent` seconds and
        needs `seconds` more (None: not measured yet).
        """
        measured, waiting = self._finished()
        waiting = [name for name in waiting if name != this]
        if seconds is not None:
            measured.setdefault(self.key(this[0], None), []).append(spent + seconds)
        else:
            seconds = self.as_finished(this[0], spent=spent)
        others = {status.training: status.seconds_left for status in running}
        others.pop(self.key(*this), None)
        times = [seconds]
        for name in waiting:
            times.append(others.get(self.key(*name)))
            if times[-1] is None and (known := measured.get(self.key(name[0], None))):
                times[-1] = sum(known) / len(known)
        known_times = [time for time in times if time is not None]
        at_once = 1 + len(others)
        total = max(seconds or 0.0, sum(known_times) / at_once) if known_times else None
        return Left(len(times), total, len(times) - len(known_times))
