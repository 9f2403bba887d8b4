"""What a notebook sends back: results and checkpoints as tar files, and a list of them.

Writing runs there, so it imports no third-party package.
"""

import contextlib
import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podium.cluster import node_program

OUTCOME = "podium.json"
OBJECT, ENTRY, CHECKPOINT = "object/", "entry/", "checkpoint/"  # in a tar file


def entries(cache: Path) -> set[str]:
    """The names of the entries in the run cache of the DVC cache `cache`."""
    names = (path.relative_to(cache / "runs").as_posix() for path in cache.glob("runs/??/*/*"))
    return {name for name in names if re.fullmatch(r"[0-9a-f/]+", name)}


def objects_of(cache: Path, entry: str) -> list[str]:
    """The names of the cache objects of an entry: a folder after the files in it."""
    names = []
    for name in node_program.outputs((cache / "runs" / entry).read_bytes()):
        if name.endswith(".dir"):
            listed = node_program.cached(cache, name).read_text(encoding="utf-8")
            names += sorted({*re.findall(r'"md5": "([0-9a-f]{32})"', listed)})
        names.append(name)
    return names


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of the training run that writes to `folder`: of a model of all folds,
    it may be in a folder in it.
    """
    numbers = {}
    with contextlib.suppress(FileNotFoundError):  # the run has ended: it deletes the folder
        for path in sorted(folder.rglob("*.ckpt")):
            with contextlib.suppress(ValueError, KeyError), path.open("rb") as file:  # corrupted
                numbers[path] = int(json.loads(file.readline())["number"])
    return max(numbers, key=lambda path: numbers[path], default=None)


class Outputs:
    """The results and checkpoints of the project in `project`, which are not sent yet."""

    def __init__(self, project: Path, checkpoint_folders: list[str]) -> None:
        """Entries of the run cache that exist already are not results."""
        self.project, self.cache = project, project / ".dvc/cache"
        self.folders = [project / folder for folder in checkpoint_folders]
        self.known = entries(self.cache)

    def results(self) -> dict[str, list[str]]:
        """The entries of stages that have ended, and the names of their objects."""
        new = sorted(entries(self.cache) - self.known)
        return {entry: objects_of(self.cache, entry) for entry in new}

    def checkpoints(self) -> list[Path]:
        """The newest checkpoint of each training run that has not ended."""
        newest = (newest_checkpoint(folder) for folder in self.folders)
        return [path for path in newest if path is not None]

    def sizes(self) -> list[int]:
        """The sizes of all results and checkpoints, in bytes."""
        results = [
            sum(node_program.cached(self.cache, name).stat().st_size for name in names)
            for names in self.results().values()
        ]
        checkpoints = []
        for path in self.checkpoints():
            with contextlib.suppress(FileNotFoundError):  # the training run has just ended
                checkpoints.append(path.stat().st_size)
        return results + checkpoints

    def write(self, folder: Path) -> list[Path]:
        """Write all to `folder`, a tar file each."""
        archives = list[dict[str, Path]]()
        for entry, names in self.results().items():
            paths = {f"{OBJECT}{name}": node_program.cached(self.cache, name) for name in names}
            archives.append({**paths, f"{ENTRY}{entry}": self.cache / "runs" / entry})
        for path in self.checkpoints():
            archives.append({f"{CHECKPOINT}{path.relative_to(self.project).as_posix()}": path})
        return [_tar(folder / f"result-{i}.tar", paths) for i, paths in enumerate(archives)]


def write_outcome(folder: Path, outcome: dict[str, Any], written: list[Path]) -> None:
    """Write the `outcome`, and the list of the files that were `written`."""
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in written}
    text = json.dumps({**outcome, "files": files}, indent=2)
    (folder / OUTCOME).write_text(text, encoding="utf-8")


def _tar(target: Path, paths: dict[str, Path]) -> Path:
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in paths.items():
            archive.add(path, name, recursive=False)
    return target


def sha256(path: Path) -> str:
    """The SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """The members of a tar file as the node program's events: object, entry, checkpoint (with its
    path in the project).
    """
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            kind, _, name = member.name.partition("/")
            if (file := archive.extractfile(member)) is not None:
                yield kind, name, file.read()
