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

    @property
    def total(self) -> float:
        """Seconds for all folds."""
        return (self.seconds + (self.prediction or 0)) * (1 if self.folds is None else self.folds)


def total(rows: Sequence[Row]) -> float:
    """The time of everything, one after the other, in seconds."""
    return sum(row.total for row in rows)


def jobs(rows: Sequence[Row], gpu_bytes: int) -> int:
    """How many of the trainings in `rows` fit into a GPU's memory at once."""
    trainings = [row for row in rows if row.prediction is not None and row.memory is not None]
    if not trainings:
        return 0
    largest = PROCESS_BYTES + max(row.memory or 0 for row in trainings)
    return min(sum(row.folds or 1 for row in trainings), int(GPU_SHARE * gpu_bytes / largest))


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
