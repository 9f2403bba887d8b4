"""The checkpoints as processes see them that do not write any."""

from typing import Any

from podium.training.checkpoints import Checkpoints
from podium.training.processes import Processes


def checkpoints_of(processes: Processes) -> type[Checkpoints]:
    """The kind of checkpoints that this process has."""
    return Checkpoints if processes.is_first else ReadOnly


class ReadOnly(Checkpoints):
    """Reads what the first process of a training run has written. It holds the lock."""

    def __enter__(self) -> "ReadOnly":
        """Lock nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove nothing."""

    def due(self, *, epoch_ended: bool = False) -> bool:  # noqa: ARG002
        """Never: the first process decides for itself."""
        return False

    def verify(self, state: dict[str, Any]) -> int:  # noqa: ARG002
        """Write nothing."""
        return 0

    def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
        """Write nothing."""
