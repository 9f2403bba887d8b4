"""The table of what the pipeline costs."""

from collections.abc import Sequence
from typing import NamedTuple

from podium.core import console
from podium.submission import text_tables

GPU_SHARE = 0.9  # of a GPU's memory that trainings may use together
PROCESS_BYTES = 2**29  # of a GPU's memory that each process takes for CUDA itself
HEADER = ("", "training per fold", "prediction per fold", "folds", "total", "peak memory")


class Row(NamedTuple):
    """The time of one model, embedding or probe, or of other stages."""

    name: str
    seconds: float  # per fold: training, or all work
    prediction: float | None = None  # seconds per fold
    folds: int | None = None  # None: once
    memory: int | None = None  # bytes
    gpu_use: float | None = None  # share of the time in which the GPU computes; None: not known

    @property
    def total(self) -> float:
        """Seconds for all folds."""
        return (self.seconds + (self.prediction or 0)) * (1 if self.folds is None else self.folds)


def total(rows: Sequence[Row]) -> float:
    """The time of everything, one after the other, in seconds."""
    return sum(row.total for row in rows)


def jobs(rows: Sequence[Row], gpu_bytes: int) -> int:
    """How many of the trainings in `rows` fit into a GPU's memory, and as far as that is known into
    its time, at once.
    """
    trainings = [row for row in rows if row.prediction is not None and row.memory is not None]
    if not trainings:
        return 0
    largest = PROCESS_BYTES + max(row.memory or 0 for row in trainings)
    fit = min(sum(row.folds or 1 for row in trainings), int(GPU_SHARE * gpu_bytes / largest))
    use = max((row.gpu_use or 0.0 for row in trainings), default=0.0)
    return fit if use == 0 else min(fit, max(1, int(1 / use)))


def advice(rows: Sequence[Row], gpu_bytes: int) -> str:
    """Whether to train several models or folds at once; "" if not."""
    if (at_once := jobs(rows, gpu_bytes)) < 2:
        return ""
    use = max(row.gpu_use or 0.0 for row in rows)
    known = f"A training leaves the GPU idle {1 - use:.0%} of the time, so"
    unknown = "If one leaves the GPU idle, as small images and models do,"
    return (
        f"{at_once} trainings fit into the GPU at once. {known if use else unknown} "
        f"`make train JOBS={at_once}` takes less time."
    )


def table(rows: Sequence[Row]) -> str:
    """The rows, and their sum."""
    cells = [HEADER]
    for row in rows:
        each = "" if row.folds is None else console.duration(row.seconds)
        prediction = "" if row.prediction is None else console.duration(row.prediction)
        folds = "" if row.folds is None else str(row.folds)
        memory = "" if row.memory is None else f"{row.memory / 2**30:.1f} GiB"
        cells.append((row.name, each, prediction, folds, console.duration(row.total), memory))
    cells.append(("total", "", "", "", console.duration(total(rows)), ""))
    used = [column for column in zip(*cells, strict=True) if any(column[1:])]
    return text_tables.plain([*zip(*used, strict=True)])
