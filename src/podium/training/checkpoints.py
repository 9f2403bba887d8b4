"""Checkpoints of a training: whole or not there, checked when read, held by one process."""

import hashlib
import io
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from podium.core import console, files
from podium.core.errors import Stopped, UserError

PATIENCE = 10.0  # seconds: within them a process ends that was asked to
PACKAGES = ("torch", "torchvision", "timm", "accelerate", "albumentations", "albucore", "numpy",
            "opencv-python-headless", "pillow")  # fmt: skip


class _UnusableError(Exception):
    """Why a checkpoint is passed over."""


class Checkpoints:
    """The last two states of one training, in a folder that one process holds at a time."""

    def __init__(self, folder: Path, *, every_minutes: float = 10.0) -> None:
        """A state is due `every_minutes` after the last."""
        self.folder, self.every = folder, 60 * every_minutes
        self._lock = FileLock(folder.with_name(folder.name + ".lock"))
        self._saved, self._number, self._fingerprint = time.monotonic(), 0, ""
        self.last: Path | None = None  # the newest that was written or read

    def __enter__(self) -> "Checkpoints":
        """Hold the folder. Another process that holds it gets some seconds to end.

        Raises:
            UserError: naming the process that holds it still, or that has done its work.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        owner, other = self.folder / "owner", ""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            other = owner.read_text() if owner.exists() else "unknown"
            self._wait_for(other)
        if other and not self.folder.exists():
            self._lock.release()
            raise UserError(f"process {other} has just finished {self.folder.name}")
        files.write_text(owner, str(os.getpid()))
        return self

    def _wait_for(self, other: str) -> None:
        try:
            self._lock.acquire(timeout=PATIENCE)
        except Timeout:
            raise UserError(
                f"process {other} is already training {self.folder.name}: wait for it, or stop it "
                "and run this again: it goes on from its last checkpoint"
            ) from None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let go of the folder; remove it where the block succeeded, or has kept nothing."""
        if kind is None or not any(self.folder.glob("*.ckpt")):
            files.remove(self.folder)
            Path(self._lock.lock_file).unlink(missing_ok=True)  # while it is held
        self._lock.release()

    def identify(self, described: dict[str, Any]) -> None:
        """Say all that the training's result follows from: states of another are not used."""
        versions = {name: version(name) for name in PACKAGES}
        text = json.dumps({"code": _code(), "packages": versions, **described}, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()

    @contextmanager
    def kept_if_stopped(self, state: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """Save `state` if the process is asked to end within the block."""
        try:
            yield
        except Stopped:
            self.save(state())
            raise

    def due(self) -> bool:
        """Whether it is time for another state."""
        return time.monotonic() - self._saved >= self.every

    def save(self, state: dict[str, Any]) -> None:
        """Write a state over the older of the two; the newer one stays whatever happens."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getbuffer()
        self._number += 1
        header = {
            "number": self._number,
            "fingerprint": self._fingerprint,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        path = self.folder / f"{self._number % 2}.ckpt"
        with (
            files.atomic(path, size=len(data)) as temporary,
            temporary.open("wb") as file,
        ):
            file.write(json.dumps(header).encode() + b"\n")
            file.write(data)
        self._saved, self.last = time.monotonic(), path

    def load(self) -> dict[str, Any] | None:
        """The newest state that is whole and of this training, on the CPU; None without one."""
        found = {path: _header(path) for path in sorted(self.folder.glob("*.ckpt"))}
        for path in sorted(found, key=lambda path: -found[path]["number"]):
            try:
                state = self._read(path, found[path])
            except _UnusableError as error:
                console.say(f"warning: {path} is not used: {error}")
            else:
                self.last = path
                self._number = found[path]["number"]  # the next is written over the other
                return state
        return None

    def _read(self, path: Path, header: dict[str, Any]) -> dict[str, Any]:
        if header["fingerprint"] is None:
            raise _UnusableError("it is damaged")
        if header["fingerprint"] != self._fingerprint:
            raise _UnusableError("it is of another training (other params, data, code or device)")
        data = path.read_bytes().partition(b"\n")[2]
        if hashlib.sha256(data).hexdigest() != header["sha256"]:
            raise _UnusableError("it is damaged")
        try:
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError):
            raise _UnusableError("it is damaged") from None


def _header(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; a damaged one, nothing: it is looked at first."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.readline())
        return {"number": int(found["number"]), **{k: found[k] for k in ("fingerprint", "sha256")}}
    except (ValueError, TypeError, KeyError):
        return {"number": sys.maxsize, "fingerprint": None, "sha256": None}


def _code() -> str:
    """The SHA-256 of our code that is in use: a state is continued by the code that began it."""
    used = [module for name, module in sys.modules.items() if name.split(".")[0] == "podium"]
    paths = sorted(Path(module.__file__) for module in used if module.__file__)
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
