"""Experiment trackers: the config, the curves and the worst predictions of a training run.

Failures of trackers never stop training. Each epoch is logged once: when a training run resumes,
each tracker is asked which epochs it has.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from podium.core import console
from podium.core.errors import redacted
from podium.training.epochs import Epoch
from podium.training.tracker_kinds import KINDS, Kind, RunName

RETRY_SECONDS = 300.0  # between attempts to reach a failed tracker


class Tracking:
    """The trackers of one training run."""

    def __init__(self, names: Sequence[str], run: RunName) -> None:
        """Log to the trackers `names`."""
        self._links = [_Link(KINDS[name](run)) for name in names]
        self._curves = list[Epoch]()
        self._config: dict[str, Any] = {}

    def begin(self, config: dict[str, Any], curves: list[Epoch]) -> None:
        """Start the trackers, or continue their runs, and log the epochs that they lack."""
        self._config = flat(config)
        self.log(curves)

    def log(self, curves: list[Epoch], *, force: bool = False) -> None:
        """Log the epochs that each tracker lacks. With `force`, retry one that has just failed."""
        self._curves = curves
        for link in self._links:
            link.do(self._log_epochs, force=force)

    def finish(self, draw: Callable[[], np.ndarray | None]) -> None:
        """Log the image that `draw` returns, uint8 [H, W, 3], and end the runs as finished."""
        if not self._links:
            return
        self.log(self._curves, force=True)
        picture = None
        if any(link.works for link in self._links):
            try:
                picture = draw()
            except Exception as error:  # the weights still have to be saved
                console.say(f"warning: cannot draw the worst predictions: {redacted(error)}")
        for link in self._links:
            if link.works and picture is not None:
                link.do(lambda kind, _: kind.image(picture, step=len(self._curves)))
            self._close(link, finished=True)

    def close(self) -> None:
        """End unfinished runs as interrupted."""
        for link in self._links:
            self._close(link, finished=False)

    def _close(self, link: "_Link", *, finished: bool) -> None:
        if link.started:
            link.started = False
            link.do(lambda kind, _: kind.end(finished=finished), force=True)

    def _log_epochs(self, kind: Kind, link: "_Link") -> None:
        if not link.started:
            link.logged = kind.start()
            link.started = True
            kind.config(self._config)
        for epoch in self._curves[link.logged :]:
            kind.log(values_of(epoch), step=epoch.epoch)
            link.logged = epoch.epoch


class _Link:
    """The state of the connection to a tracker."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.logged, self.started = kind, 0, False
        self.works, self._failed_at = True, 0.0

    def do(self, action: "Callable[[Kind, _Link], None]", *, force: bool = False) -> None:
        """Run `action`, unless the last one has just failed. If it fails, warn once."""
        waited = time.monotonic() - self._failed_at
        if not self.works and not force and waited < RETRY_SECONDS:
            return
        try:
            action(self.kind, self)
        except Exception as error:  # trackers raise errors of all kinds
            self._failed_at = time.monotonic()
            if self.works:
                console.say(f"warning: {self.kind.name}: {redacted(error)} (training continues)")
            self.works = False
        else:
            self.works = True


def values_of(epoch: Epoch) -> dict[str, float]:
    """The numbers of an epoch, by their names in curves.csv."""
    return {
        name: float(value)
        for name, value in asdict(epoch).items()
        if name != "epoch" and value is not None
    }


def flat(values: Any, name: str = "") -> dict[str, bool | int | float | str]:
    """Flatten nested values to dotted names, as trackers require."""
    if isinstance(values, dict) or (isinstance(values, list) and any(map(_is_nested, values))):
        pairs = values.items() if isinstance(values, dict) else enumerate(values)
        parts = [flat(value, f"{name}.{key}" if name else str(key)) for key, value in pairs]
        return {key: value for part in parts for key, value in part.items()}
    return {name: values if isinstance(values, bool | int | float) else str(values)}


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)
