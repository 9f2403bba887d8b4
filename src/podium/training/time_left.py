"""Estimate the time left to train all models and folds of params.yaml.

It is measured on this training run, on other active ones, and on finished ones of the same model.
If a model has not been measured, the estimate is a lower bound.
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
from podium.core.paths import Fold
from podium.core.provenance import TrainingProvenance
from podium.training.epochs import Epoch
from podium.training.status import Status

FINISHED = paths.CHECKPOINTS / ".finished"  # one file per finished training run


RECENT = 5  # epochs


def epoch_seconds(curves: Sequence[Epoch]) -> float:
    """How long an epoch usually takes: the median of the last ones of the current phase, so that a
    pause of the process or the machine does not count.
    """
    seconds = [epoch.seconds for epoch in curves if epoch.phase == curves[-1].phase]
    return statistics.median_low(seconds[-RECENT:])


def usual_seconds(curves: Sequence[Epoch]) -> float:
    """How long all epochs take if each takes as long as the median of its phase."""
    phases: dict[int, list[float]] = {}
    for epoch in curves:
        phases.setdefault(epoch.phase, []).append(epoch.seconds)
    return sum(len(of_phase) * statistics.median_low(of_phase) for of_phase in phases.values())


class Left(NamedTuple):
    """The training runs that are left, including this one."""

    trainings: int
    seconds: float | None  # None: not measured yet
    at_least: bool  # some models have not been measured

    def __str__(self) -> str:
        if self.seconds is None:
            return "?"
        return f"{'at least ' if self.at_least else ''}{console.duration(self.seconds)}"


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
        """Hash of what determines the result of a training run or, without a fold, of a model."""
        facts = {**self.shared, "config": self.models[model].model_dump(), "fold": fold}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def finish(self, model: str, fold: Fold, seconds: float) -> None:
        """Record how long a training run took."""
        record = {"model": self.key(model, None), "seconds": seconds}
        files.write_json(self.root / FINISHED / f"{self.key(model, fold)}.json", record)

    def left(
        self, this: tuple[str, Fold], running: Sequence[Status], *, seconds: float | None = None,
        spent: float = 0.0,
    ) -> Left:  # fmt: skip
        """What is left, given the active training runs. This one has taken `spent` seconds and
        needs `seconds` more (None: not measured yet).
        """
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
        waiting = [name for name in waiting if name != this]
        if seconds is not None:
            measured.setdefault(self.key(this[0], None), []).append(spent + seconds)
        elif own := measured.get(self.key(this[0], None)):
            seconds = max(0.0, sum(own) / len(own) - spent)
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
        return Left(len(times), total, len(known_times) < len(times))
