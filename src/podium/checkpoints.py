"""Checkpoints of a training: whole or not there, checked when read, held by one process."""

import hashlib
import io
import json
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from podium import files, progress
from podium.errors import Stopped, UserError

PATIENCE = 10.0  # seconds: within them a process ends that was asked to


class _UnusableError(Exception):
    """Why a checkpoint is passed over."""


class Checkpoints:
    """The last two states of one training, in a folder that one process holds at a time."""

    def __init__(self, folder: Path, *, every_minutes: float = 10.0) -> None:
        """A state is due `every_minutes` after the last."""
        self.folder, self.every = folder, 60 * every_minutes
        self._lock = FileLock(folder.with_name(folder.name + ".lock"), timeout=PATIENCE)
        self._saved, self._number, self._fingerprint = time.monotonic(), 0, ""

    def __enter__(self) -> "Checkpoints":
        """Hold the folder.

        Raises:
            UserError: naming the process that holds it already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = self.folder / "owner"
        try:
            self._lock.acquire()
        except Timeout:
            pid = owner.read_text() if owner.exists() else "unknown"
            raise UserError(
                f"process {pid} is already training {self.folder.name}: wait for it, or stop it "
                "and run this again: it goes on from its last checkpoint"
            ) from None
        owner.write_text(str(os.getpid()))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let go of the folder; remove it where the block succeeded, or has kept nothing."""
        if kind is None or not any(self.folder.glob("*.ckpt")):
            files.remove(self.folder)
            Path(self._lock.lock_file).unlink(missing_ok=True)  # while it is held
        self._lock.release()

    def identify(self, made_from: dict[str, Any]) -> None:
        """Say all that the training's result follows from: states of another are not used."""
        text = json.dumps({"code": _code(), **made_from}, sort_keys=True)
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
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The newest state that is whole and of this training, on the CPU; None without one."""
        states = []
        for path in sorted(self.folder.glob("*.ckpt")):
            try:
                states.append(self._read(path))
            except _UnusableError as error:
                progress.say(f"warning: {path} is not used: {error}")
        if not states:
            return None
        self._number, state = max(states, key=lambda found: found[0])
        return state

    def _read(self, path: Path) -> tuple[int, dict[str, Any]]:
        """The number of a checkpoint, and its state."""
        first, _, data = path.read_bytes().partition(b"\n")
        try:
            header = json.loads(first)
            number, made_by, sha256 = (header[k] for k in ("number", "fingerprint", "sha256"))
        except (ValueError, TypeError, KeyError):
            raise _UnusableError("it is damaged") from None
        if made_by != self._fingerprint:
            raise _UnusableError("it is of another training (other params, data, code or device)")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _UnusableError("it is damaged")
        try:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError):
            raise _UnusableError("it is damaged") from None
        return number, state


def _code() -> str:
    """The SHA-256 of this package's source: a state is continued by the code that began it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
