"""What runs on a node: stages of one model and fold, in a folder that exists only for them.

Imports no third-party package, and of Podium only what follows the same rule: the driver sends the
code to the node, which needs the locked packages but no copy of the project, git or shared disk.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from podium.cluster.process import started

FOLDER_VARIABLE = "PODIUM_NODE_DIR"  # default: ~/.cache/podium
TRACKING_VARIABLE = "PODIUM_TRACKING_DIR"  # see training/reporting.py
STATUS_FOLDER = ".checkpoints/.status"  # see training/status.py
CHECKPOINT_SECONDS = 5.0  # between two copies of a run's checkpoint
EXIT_USER_ERROR = 1
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # this node's, not the user's
CONFIG = """[core]
    no_scm = true
    analytics = false
    check_update = false
[cache]
    type = hardlink,symlink,copy
"""

Event = tuple[str, str, bytes]
"""Kind, name and content: `line` (its text is the name), `status`, `checkpoint` and `object` (a
file's name and bytes), `entry` (of the run cache; after all of its objects), `failed` (`user` or
`system`, and the message). Without `failed`, the stages have succeeded."""


class Work(NamedTuple):
    """What a node gets."""

    stages: tuple[str, ...]  # as `dvc repro` names them, in order
    files: dict[str, bytes]  # the snapshot of the tree
    inputs: tuple[str, ...]  # outputs of other stages: paths
    objects: tuple[str, ...]  # names of the DVC cache objects for them: MD5, .dir for folders
    entries: dict[str, bytes]  # of the run cache: path below it, content
    checkpoints: dict[str, bytes]  # path in the tree, content
    checkpoint_folder: str
    environment: dict[str, str]


def run(work: Work, fetch: Callable[[str], bytes]) -> Iterator[Event]:
    """Run the stages of `work`. `fetch` gets a DVC cache object by its name; the node keeps it."""
    home = Path(os.environ.get(FOLDER_VARIABLE) or Path.home() / ".cache" / "podium")
    try:
        yield from _run(work, fetch, home)
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename or home} ({FOLDER_VARIABLE})"
        yield "failed", "system", reason.encode()


def _run(work: Work, fetch: Callable[[str], bytes], home: Path) -> Iterator[Event]:
    with _task_folder(home / "tasks") as folder:
        for path, content in {**work.files, **work.checkpoints}.items():
            _write(folder / path, content)
        _write(folder / ".dvc/config", CONFIG.encode())
        for name in work.objects:
            target = cached(folder / ".dvc/cache", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(_stored(home / "objects", name, fetch), target)
        for path, content in work.entries.items():
            _write(folder / ".dvc/cache/runs" / path, content)
        yield from _run_stages(work, folder)


@contextlib.contextmanager
def _task_folder(tasks: Path) -> Iterator[Path]:
    """A folder for one task. Removes those of killed processes, too."""
    tasks.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as stack:
        with (tasks / "mutex").open("w") as mutex:  # a new lock is not that of a killed task
            fcntl.flock(mutex, fcntl.LOCK_EX)
            for lock in tasks.glob("*.lock"):
                unlocked = contextlib.suppress(BlockingIOError, FileNotFoundError)
                with unlocked, lock.open() as file:  # else it runs, or has ended
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                    lock.unlink(missing_ok=True)
            folder = Path(tempfile.mkdtemp(dir=tasks))
            lock = folder.with_suffix(".lock")
            fcntl.flock(stack.enter_context(lock.open("w")), fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _stored(store: Path, name: str, fetch: Callable[[str], bytes]) -> Path:
    """The path of an object on this node, which is fetched only once."""
    path = store / name
    if not path.exists():
        content = fetch(name)
        verify(name, content)
        _write(path, content)
        path.chmod(0o444)  # as DVC's own: it does not hash them again
    return path


def verify(name: str, content: bytes) -> None:
    """Raises: ValueError: if a cache object does not have the content that its name says."""
    if hashlib.md5(content).hexdigest() != name.removesuffix(".dir"):
        raise ValueError(f"the cache object {name} was damaged in transit")


def cached(cache: Path, name: str) -> Path:
    """The path of an object in a DVC cache."""
    return cache / "files" / "md5" / name[:2] / name[2:]


def _run_stages(work: Work, folder: Path) -> Iterator[Event]:
    """Check out the inputs and reproduce the stages; send what is new each second."""
    dvc, output = (sys.executable, "-m", "dvc"), list[str]()
    sent = Sent(folder, work)
    environment = _environment(work, folder)
    commands = [("checkout", "--quiet", *work.inputs)] if work.inputs else []
    for command in (*commands, ("repro", "--single-item", *work.stages)):
        with started((*dvc, *command), folder, environment) as (process, lines):
            for line in lines:
                yield from sent.new()
                if line is not None:
                    output.append(line)
                    yield "line", line, b""
        yield from sent.new(final=True)
        if process.returncode != 0:
            kind, message = failure(output, process.returncode)
            yield "failed", kind, message.encode()
            return


def _environment(work: Work, folder: Path) -> dict[str, str]:
    """The environment of the stages. Ray's own variables may include the token."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    inherited.pop("PYTHONPATH", None)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    site = {"DVC_SITE_CACHE_DIR": str(folder / ".dvc/site")}
    tracking = {TRACKING_VARIABLE: ""}  # files in the task's folder are deleted
    return {**inherited, **site, **tracking, **work.environment, "PATH": programs}


def failure(output: list[str], status: int) -> tuple[str, str]:
    """Whether the user can fix it, and the message: a stage's error, else the last lines."""
    text = "\n".join(output)
    exits = re.findall(r"exited with (-?\d+)", text)
    message = re.search(r"^error: (.+?)(?=^ERROR: |^[EW]\d{4} |\Z)", text, re.MULTILINE | re.DOTALL)
    if message and exits and int(exits[-1]) == EXIT_USER_ERROR:
        is_disk = any(os.strerror(number) in message[1] for number in DISK_ERRORS)
        return "system" if is_disk else "user", message[1].strip()
    return "system", "\n".join(output[-5:]) or f"dvc exited with {status}"


class Sent:
    """What has been sent to the driver of a task's checkpoints and results."""

    def __init__(self, folder: Path, work: Work) -> None:
        """Watch the task's `folder`."""
        self.cache = folder / ".dvc/cache"
        self.checkpoint_folder = folder / work.checkpoint_folder
        self.entries = {*work.entries}
        self.headers = {
            path.removeprefix(f"{work.checkpoint_folder}/"): content.partition(b"\n")[0] + b"\n"
            for path, content in work.checkpoints.items()
        }
        self.copied_at = 0.0
        self.status_folder, self.status = folder / STATUS_FOLDER, b""

    def new(self, *, final: bool = False) -> Iterator[Event]:
        """The events since the last call."""
        yield from self._results(final=final)
        if not final:
            yield from self._checkpoints()
            yield from self._statuses()

    def _statuses(self) -> Iterator[Event]:
        """The status of the training run, if it has changed."""
        for path in self.status_folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # it has just finished
                content = path.read_bytes()
                if content != self.status:
                    self.status = content
                    yield "status", path.name, content

    def _results(self, *, final: bool) -> Iterator[Event]:
        """DVC writes an entry before it moves the outputs to its cache."""
        runs = self.cache / "runs"
        for path in sorted(runs.glob("??/*/*")):
            name = path.relative_to(runs).as_posix()
            if name in self.entries or not re.fullmatch(r"[0-9a-f/]+", name):  # temporary files
                continue
            content = path.read_bytes()
            objects = [digest for out in outputs(content) for digest in self._objects(out)]
            if not final and not all(cached(self.cache, digest).exists() for digest in objects):
                continue
            self.entries.add(name)
            for digest in objects:
                yield "object", digest, cached(self.cache, digest).read_bytes()
            yield "entry", name, content

    def _objects(self, name: str) -> list[str]:
        """The names of an object and, before it, of the files in it if it is a folder."""
        path = cached(self.cache, name)
        if not name.endswith(".dir") or not path.exists():
            return [name]
        listed = path.read_text(encoding="utf-8")
        return [*sorted({*re.findall(r'"md5": "([0-9a-f]{32})"', listed)}), name]

    def _checkpoints(self) -> Iterator[Event]:
        """The newest checkpoint, unless the last was sent a moment ago."""
        if time.monotonic() - self.copied_at < CHECKPOINT_SECONDS:
            return
        headers = dict[str, bytes]()
        for path in self.checkpoint_folder.rglob("*.ckpt"):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                headers[path.relative_to(self.checkpoint_folder).as_posix()] = file.readline()
        changed = [name for name in headers if headers[name] != self.headers.get(name)]
        if not changed:
            return
        newest = max(changed, key=lambda name: int(json.loads(headers[name])["number"]))
        with contextlib.suppress(FileNotFoundError):  # the training run has just succeeded
            content = (self.checkpoint_folder / newest).read_bytes()
            self.headers, self.copied_at = headers, time.monotonic()
            yield "checkpoint", newest, content


def outputs(entry: bytes) -> list[str]:
    """The names of the cache objects of the outputs in an entry of the run cache."""
    outs = entry.decode().partition("\nouts:")[2]
    return re.findall(r"^ +md5: '?([0-9a-f]{32}(?:\.dir)?)'?$", outs, re.MULTILINE)
