"""DVC on the driver: which stages are missing, what they read, and how results come in.

DVC's Python API, since its commands cannot check out a result without the risk to train instead.
"""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.serialize import to_single_stage_lockfile
from ruamel.yaml import YAML

from podium.cluster import node_program
from podium.core import files
from podium.core.errors import UserError, counted, examples


class Pipeline:
    """The project's stages and its DVC cache."""

    def __init__(self, root: Path) -> None:
        """Open the project at `root`, which is the current folder: DVC finds stages there."""
        self.root, self._lock = root, threading.RLock()
        with Repo(str(root)) as repo:
            self.cache = Path(repo.cache.local.path).parent.parent  # without files/md5

    @contextlib.contextmanager
    def _repo(self) -> Iterator[Repo]:
        """DVC's view of the project, for one thread at a time: its parsers share state."""
        # Another DVC process holds the repository's lock for moments, that of outputs for longer.
        with self._lock, Repo(str(self.root), _wait_for_lock=True) as repo:
            try:
                yield repo
            except LockError as error:
                raise UserError(
                    f"another DVC process is at work in this project: {error}. Wait for it and "
                    "rerun: what has arrived is kept."
                ) from None

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the stages that `dvc status` reports as changed, after checking out all that
        the run cache has.
        """
        changed = self._changed(names)
        return self._changed(names) if changed and self.restore(changed) else changed

    def _changed(self, names: Sequence[str]) -> list[str]:
        with self._repo() as repo:
            status = repo.status(targets=[*names])
        return [name for name in names if name in status]

    def restore(self, names: Iterable[str]) -> list[str]:
        """Check out the results of stages from the run cache; nothing runs. The names of those that
        it has.
        """
        restored = []
        with self._repo() as repo, lock_repo(repo):
            for name in names:
                (stage,) = repo.stage.collect(name)
                try:
                    repo.stage_cache.restore(stage)
                except (RunCacheNotFoundError, FileNotFoundError):  # or an input is missing
                    continue
                stage.save()
                stage.commit()
                stage.dump(update_pipeline=False)  # dvc.lock
                restored.append(name)
        return restored

    def inputs(self, stages: Sequence[str]) -> tuple[list[str], list[str]]:
        """The paths that the stages read and other stages write, and the names of the cache objects
        for them.

        Raises:
            UserError: if objects are not in the cache.
        """
        with self._repo() as repo:
            collected = [stage for name in stages for stage in repo.stage.collect(name)]
            deps = [dep.def_path for stage in collected for dep in stage.deps]
            made_here = {out.def_path for stage in collected for out in stage.outs}
        outs = self.outs()
        paths = [path for path in dict.fromkeys(deps) if path not in made_here and _out(path, outs)]
        names = {name for path in paths for name in self._objects(path, outs)}
        absent = [name for name in sorted(names) if not self.object_path(name).exists()]
        if absent:
            raise UserError(
                f"DVC's cache lacks {counted(len(absent), 'input')} of {examples(stages)}. Run "
                "`dvc commit`."
            )
        return paths, sorted(names)

    def fingerprint(self, name: str) -> str:
        """A hash of all that the results of a stage depend on: params, code, data."""
        with self._repo() as repo, lock_repo(repo):
            (stage,) = repo.stage.collect(name)
            stage.save_deps()
            locked = to_single_stage_lockfile(stage)
        return hashlib.sha256(json.dumps({**locked, "outs": []}).encode()).hexdigest()

    def uncached(self, stages: Sequence[str]) -> dict[str, bytes]:
        """The files in folders that the stages read and other stages fill, such as the scores of a
        model's folds: paths and contents. DVC does not check them out.
        """
        outs = self.outs()
        with self._repo() as repo:
            deps = {
                dep.def_path for name in stages for s in repo.stage.collect(name) for dep in s.deps
            }
        folders = [dep for dep in deps if any(out.startswith(f"{dep}/") for out in outs)]
        paths = [path for folder in folders for path in (self.root / folder).rglob("*")]
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(paths)
            if path.is_file()
        }

    def outs(self, *names: str) -> dict[str, str]:
        """The outputs of the stages `names`, or of all, and their names in the cache: dvc.lock."""
        lock: dict[str, Any] = YAML(typ="safe").load(self.root / "dvc.lock")
        stages = [stage for name, stage in lock["stages"].items() if name in names or not names]
        return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}

    def _objects(self, path: str, outs: dict[str, str]) -> list[str]:
        out = _out(path, outs)
        return self.with_contents(outs[out], "" if path == out else path.removeprefix(f"{out}/"))

    def with_contents(self, name: str, below: str = "") -> list[str]:
        """A cache object and, if it is a folder, those of the files `below` a path in it."""
        if not name.endswith(".dir") or not self.object_path(name).exists():
            return [name]
        listed = json.loads(self.object_path(name).read_bytes())
        inside = [file for file in listed if below in ("", file["relpath"])]
        inside += [file for file in listed if below and file["relpath"].startswith(f"{below}/")]
        return [name, *(file["md5"] for file in inside)]

    def object_path(self, name: str) -> Path:
        """The path of an object in the cache."""
        return node_program.cached(self.cache, name)

    def add_object(self, name: str, content: bytes) -> None:
        """Store an object that a node has sent.

        Raises:
            ValueError: if it has not the content that its name says.
        """
        if not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", name):
            raise ValueError(f"{name} is not the name of a cache object")
        node_program.verify(name, content)
        path = self.object_path(name)
        if not path.exists():
            files.write_bytes(path, content)
            path.chmod(0o444)  # as DVC does

    def add_entry(self, name: str, content: bytes) -> None:
        """Store an entry of the run cache, after its objects."""
        if not re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{64}/[0-9a-f]{64}", name):
            raise ValueError(f"{name} is not the name of an entry in the run cache")
        files.write_bytes(self.cache / "runs" / name, content)


def _out(path: str, outs: dict[str, str]) -> str:
    """The output that a path is, or is in; "" if it is none."""
    folders = [path, *(parent.as_posix() for parent in Path(path).parents)]
    return next((folder for folder in folders if folder in outs), "")
