"""What a training run prints."""

from collections.abc import Callable

import numpy as np

from podium.core import console
from podium.core.provenance import TrainingProvenance
from podium.scoring.metrics import Metric
from podium.training.build import Components
from podium.training.epochs import Epoch
from podium.training.state import TrainState
from podium.training.time_left import seconds_left


class Reporter:
    """Prints a line per epoch."""

    def begin(
        self,
        run: Components,
        state: TrainState,
        *,
        provenance: TrainingProvenance,
        training: str,
        code: str,
    ) -> None:
        """Called when the training run starts or resumes, with its fingerprint `training` and the
        fingerprint of the `code`.
        """

    def step(self, state: TrainState) -> None:
        """Called after each optimizer step."""

    def epoch(self, state: TrainState, *, metric: Metric, is_best: bool) -> None:
        """Called after each epoch."""
        left = seconds_left(state.curves, state.epochs_left)
        print_epoch(state, metric=metric, is_best=is_best, left=left)

    def finish(self, state: TrainState, draw: Callable[[], np.ndarray | None]) -> None:
        """Called after the last epoch. `draw` returns an image of the worst predictions."""


def print_epoch(
    state: TrainState, *, metric: Metric, is_best: bool, left: float | None, total: str = ""
) -> None:
    """Print a line about the last epoch. `left` is the time left in seconds, if it is known, and
    `total` that for all models and folds.
    """
    epoch, time_left = state.curves[-1], ""
    examples = "features" if state.uses_features and epoch.phase == 1 else "images"
    if not state.finished:
        known = "time left unknown until the next phase"
        time_left = f"  {known if left is None else f'{console.duration(left)} left'}"
    if total:
        time_left += f"  {total} left in total" if state.finished else f" ({total} in total)"
    console.say(
        f"epoch {epoch.epoch:3d}  train loss {console.score(epoch.train_loss)}"
        f"{describe(epoch, metric=metric)}{'*' if is_best else ' '}  "
        f"lr {epoch.lr:.1e}  {epoch.images_per_s:.0f} {examples}/s{time_left}"
    )


def describe(epoch: Epoch, *, metric: Metric) -> str:
    """The scores of an epoch, if it has any, as part of a line."""
    if epoch.score is None or epoch.valid_loss is None:
        return ""
    loss, score = map(console.score, (epoch.valid_loss, epoch.score))
    return f"  valid loss {loss}  {metric.name} {score}"


PRINTER = Reporter()
