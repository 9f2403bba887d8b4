"""What this machine offers. Nothing here may change a result, so none of it is in params.yaml."""

import os

from podium.errors import UserError

VARIABLE = "PODIUM_WORKERS"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes() -> int:
    """How many processes decode images where nothing else runs: PODIUM_WORKERS, else the cores."""
    return max(1, _given(cores()))


def loader_workers(device: str) -> int:
    """How many processes load images for a model: PODIUM_WORKERS, else one a core beside a GPU,
    and none where the model itself needs the cores.
    """
    return _given(0 if device == "cpu" else cores())


def _given(default: int) -> int:
    value = os.environ.get(VARIABLE, "")
    if value and not value.isdigit():
        raise UserError(f"{VARIABLE} is the number of loader processes, not {value!r}")
    return int(value) if value else default
