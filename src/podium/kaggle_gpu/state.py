"""What the driver remembers, in a file: which notebook runs, so that there is never a second one
for the same work.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from podium.core import files, paths
from podium.core.paths import Fold

FOLDER = paths.CHECKPOINTS / "kaggle"
PATH = FOLDER / "state.json"


@dataclass
class Notebook:
    """A notebook that was pushed, or is about to be."""

    ref: str  # <owner>/<slug>
    work: str  # the data set with work.json
    work_sha256: str
    competition: str
    machine: str  # Kaggle's name
    hours: float
    datasets: list[str]
    jobs: list[tuple[str, Fold]]  # model and fold
    pushed: bool = False  # Kaggle has confirmed it
    kernel_id: int = 0  # Kaggle's number, which a renamed notebook keeps
    printed: int = 0  # lines of its log


@dataclass
class State:
    """The content of the file."""

    notebook: Notebook | None = None
    attempt: int = 0  # failed notebooks
    uploaded: list[str] = field(default_factory=list)  # data sets that are complete
    progress: dict[str, dict[str, float | None]] = field(default_factory=dict)  # by job

    @classmethod
    def load(cls, path: Path = PATH) -> "State":
        """Read the file; without one, nothing runs."""
        if not path.exists():
            return cls()
        values = json.loads(files.read(path))
        notebook = values.pop("notebook")
        return cls(None if notebook is None else Notebook(**notebook), **values)

    def save(self, path: Path = PATH) -> None:
        """Write the file."""
        files.write_json(path, asdict(self))

    def forget(self, *, failed: bool = False) -> None:
        """The notebook is over. After a failure, the same work gets another one."""
        self.notebook = None
        self.attempt += failed
        self.save()


def hours_left(progress: dict[str, dict[str, float | None]], jobs: list[str], tasks: int) -> float:
    """The hours that `jobs` need with a number of `tasks` at a time, as far as their or other jobs'
    progress tells; 0 if nothing is known.
    """
    totals = [
        (entry["spent"] or 0.0) + entry["left"]
        for entry in progress.values()
        if entry["left"] is not None
    ]
    mean = sum(totals) / len(totals) if totals else 0.0
    left = [progress.get(job, {}).get("left") for job in jobs]
    return sum(mean if seconds is None else seconds for seconds in left) / tasks / 3600
