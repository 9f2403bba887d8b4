"""Status files of running training runs, which `make watch` reads.

Each is locked by the process that writes it, so the files of killed processes are recognized.
"""

import contextlib
import json
import secrets
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from podium.core import files, paths
from podium.core.errors import UserError

FOLDER = paths.CHECKPOINTS / ".status"
LOCK_SECONDS = 5.0  # readers hold the lock briefly


@dataclass(frozen=True)
class Status:
    """The progress of a training run."""

    model: str
    fold: str
    training: str = ""  # identifies model, fold and everything else that determines the result
    device: str = ""
    phase: int = 1
    phases: int = 1
    epoch: int = 0  # the current one, from 1; 0: before the first
    epochs: int = 0  # of all phases, at most
    share: float = 0.0  # of the current epoch
    score: float | None = None  # of the last epoch
    best: float | None = None
    left: float | None = None  # seconds
    updated: float = 0.0  # by the monotonic clock, which all processes of a machine share
    node: str = ""  # name of another machine
    pid: int = 0  # of the process, on that machine
    metric: str = ""  # of `score` and `best`

    @classmethod
    def read(cls, content: bytes) -> "Status | None":
        """Parse a status file; None if it is of another version."""
        try:
            values: dict[str, Any] = json.loads(content)
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def seconds_left(self) -> float | None:
        """The time left now."""
        return None if self.left is None else max(0.0, self.left - self.age)

    @property
    def age(self) -> float:
        """The seconds since it was written."""
        return time.monotonic() - self.updated


class StatusFile:
    """The writer of one training run's status file. Its errors never stop the training run."""

    def __init__(self, root: Path, name: str) -> None:
        """Create a file for the training run `name` of the project at `root`."""
        self._path = root / FOLDER / f"{name}.{secrets.token_hex(4)}.json"
        self._lock = FileLock(self._path.with_suffix(".lock"))
        with contextlib.suppress(OSError, Timeout):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=LOCK_SECONDS)

    def write(self, status: Status) -> None:
        """Replace the status."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError, UserError):
                files.write_json(self._path, asdict(status))

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        if self._lock.is_locked:
            _free(self._lock)


def running(root: Path) -> list[Status]:
    """The active training runs of the project at `root`. Removes the files of killed ones."""
    found = []
    for path in sorted((root / FOLDER).glob("*.json")):
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:  # its writer is alive
            with contextlib.suppress(OSError):  # it was just removed or replaced
                if (status := Status.read(path.read_bytes())) is not None:
                    found.append(status)
        except OSError:
            continue
        else:
            for file in (path, path.with_name(path.name + ".tmp")):
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
            _free(lock)
    return found


def _free(lock: FileLock) -> None:
    """Release a lock and remove its file, which Windows refuses while the lock is held."""
    with contextlib.suppress(OSError):
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def project_root() -> Path:
    """The project's folder, also in `dvc exp run --temp` and `--queue`, which run in a copy in its
    .dvc/tmp.
    """
    here = Path.cwd()
    copies = [parent for parent in here.parents if parent.parts[-3:] == (".dvc", "tmp", "exps")]
    return copies[0].parents[2] if copies else here
