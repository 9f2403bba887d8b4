"""Checkpoints of a training run: atomic, verified when read, locked by one process, and written in
the background.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import torch
from filelock import FileLock, Timeout

from podium.core import console, files
from podium.core.errors import UserError
from podium.models import device
from podium.training import fingerprint

LOCK_TIMEOUT_S = 10.0  # a process exits within this time after a signal
MAX_FILES = 3  # two checkpoints, and one that is being written
LARGE_BYTES = 2**26  # larger checkpoints are written in the background
EPOCH_END_SHARE = 0.05  # of the time, which they may take at the ends of epochs
PACKAGES = ("torch", "torchvision", "timm", "accelerate", "albumentations", "albucore", "numpy",
            "opencv-python-headless", "pillow")  # fmt: skip


class Checkpoints:
    """The last two checkpoints of one training run, in a folder that one process owns."""

    def __init__(self, folder: Path, *, every_minutes: float = 10.0) -> None:
        """A checkpoint is due `every_minutes` after the last."""
        self.folder, self.every_s = folder, 60 * every_minutes
        self._lock = FileLock(folder.with_name(folder.name + ".lock"))
        self._saved_at, self._number = time.monotonic(), 0
        self._fingerprint = self.code = ""  # of everything that matters; of the code only
        self._seconds, self._is_large = 0.0, False  # the last one's
        self.last: Path | None = None  # the newest that was written or read
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def __enter__(self) -> "Checkpoints":
        """Lock the folder, giving another process that owns it a few seconds to end.

        Raises:
            UserError: naming the process that still owns it, or that has completed the run.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        owner_file, owner = self.folder / "owner", ""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            owner = owner_file.read_text() if owner_file.exists() else "unknown"
            self._wait_for(owner)
        if owner and not self.folder.exists():
            self._lock.release()
            raise UserError(
                f"{self.folder.name} was just completed by process {owner}. Run `dvc repro`."
            )
        files.write_text(owner_file, str(os.getpid()))
        return self

    def _wait_for(self, owner: str) -> None:
        try:
            self._lock.acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout:
            raise UserError(
                f"{self.folder.name} is being trained by process {owner}. Wait for it, or stop it "
                "and rerun to resume from its last checkpoint."
            ) from None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Release the folder; remove it after success, or if it has no checkpoints."""
        with contextlib.suppress(UserError, OSError):  # it is not needed, or another is raised
            self.wait()
        self._writer.shutdown()
        if kind is None or not any(self.folder.glob("*.ckpt")):
            files.remove(self.folder)
            Path(self._lock.lock_file).unlink(missing_ok=True)  # while it is locked
        self._lock.release()

    def identify(self, facts: dict[str, Any]) -> str:
        """Return the fingerprint of everything that determines the result (`facts`, the code, the
        packages). Checkpoints with another one are ignored.
        """
        versions, self.code = {name: version(name) for name in PACKAGES}, fingerprint.code()
        text = json.dumps({"code": self.code, "packages": versions, **facts}, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return self._fingerprint

    def due(self, *, epoch_ended: bool = False) -> bool:
        """Whether it is time for another checkpoint. At the end of an epoch it is, unless
        large ones would take too much of the time.

        Raises:
            UserError: if the last one could not be written.
        """
        if self._pending is not None and self._pending.done():
            self.wait()
        passed = time.monotonic() - self._saved_at
        is_cheap = not self._is_large or passed * EPOCH_END_SHARE >= self._seconds
        return passed >= self.every_s or (epoch_ended and is_cheap)

    def verify(self, state: dict[str, Any]) -> int:
        """Check that `state` can be written: its size in bytes. It is written to the folder and
        deleted again in the background; if that fails, `due`, `wait` or `save` raise the error.

        Raises:
            UserError: if the disk has no room for all checkpoints.
        """
        self.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        copied = device.copy_to_cpu(state)
        size = _size(copied)
        needed, free = MAX_FILES * size, shutil.disk_usage(self.folder).free
        if free < needed:
            raise UserError(
                f"{self.folder}: checkpoints need {needed:,} bytes, the disk has {free:,} free. "
                "Free up disk space."
            )
        self._pending = self._writer.submit(self._verify, copied)
        return size

    def _verify(self, state: dict[str, Any]) -> None:
        path = self.folder / "verify"
        self._write(path, {}, state)
        path.unlink()

    def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
        """Replace the older of the two checkpoints; the newer one survives any failure. `state` is
        copied now. A large one is written while the training continues, unless the caller wants to
        `wait`; a smaller one takes no time, and then nothing that was printed is lost by a kill.

        Raises:
            UserError: if this one, or the one before it, could not be written.
        """
        self.wait()
        self._number += 1
        self._saved_at = time.monotonic()
        copied = device.copy_to_cpu(state)
        self._pending = self._writer.submit(self._save, copied, self._number)
        if wait or _size(copied) <= LARGE_BYTES:
            self.wait()

    def wait(self) -> None:
        """Wait until the last checkpoint is on the disk.

        Raises:
            UserError: if it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _save(self, state: dict[str, Any], number: int) -> None:
        path = self.folder / f"{number % 2}.ckpt"
        self._write(path, {"number": number, "fingerprint": self._fingerprint}, state)
        self.last = path

    def _write(self, path: Path, header: dict[str, Any], state: dict[str, Any]) -> None:
        start = time.monotonic()
        _write(path, header, state)
        self._seconds, self._is_large = time.monotonic() - start, _size(state) > LARGE_BYTES

    def load(self) -> dict[str, Any] | None:
        """Read the newest usable checkpoint of this run to the CPU; None if there is none."""
        self.wait()
        headers = {path: _header(path) for path in sorted(self.folder.glob("*.ckpt"))}
        own = [p for p in headers if headers[p]["fingerprint"] in (None, self._fingerprint)]
        for path in sorted(own, key=lambda path: -headers[path]["number"]):
            if (state := _read(path, headers[path]["sha256"])) is not None:
                self.last, self._number = path, headers[path]["number"]  # replaces the other
                return state
            console.say(f"warning: ignoring checkpoint {path}: corrupted")
        if len(own) < len(headers):
            console.say(
                f"warning: ignoring the checkpoints in {self.folder}: they belong to a different "
                "run (params, data, code, packages or device changed)"
            )
        return None


class _Hashed(io.RawIOBase):
    """Writes to a file, and hashes what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha256 = file, hashlib.sha256()
        self.error: OSError | None = None  # torch replaces it by one of its own

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise


def _write(path: Path, header: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a line of JSON with the SHA-256 of what follows, then the state."""

    def line(sha256: str) -> bytes:
        return json.dumps({**header, "sha256": sha256}).encode() + b"\n"

    with files.atomic(path, size=_size(state)) as temporary, temporary.open("wb") as file:
        file.write(line(hashlib.sha256().hexdigest()))  # as long as the one that replaces it
        hashed = _Hashed(file)
        try:
            torch.save(state, hashed)  # type: ignore[arg-type]  # only writes
        except RuntimeError as error:
            raise hashed.error or error from None
        file.seek(0)
        file.write(line(hashed.sha256.hexdigest()))


def _size(value: Any) -> int:
    """The bytes of all tensors in dicts and lists."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    items = value.values() if isinstance(value, dict) else value
    return sum(map(_size, items)) if isinstance(value, dict | list | tuple) else 0


def _header(path: Path) -> dict[str, Any]:
    """Read a checkpoint's header. A corrupted one sorts as the newest, so that it is reported."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
        facts = {key: header[key] for key in ("fingerprint", "sha256")}
        return {"number": int(header["number"]), **facts}
    except (ValueError, TypeError, KeyError):
        return {"number": sys.maxsize, "fingerprint": None, "sha256": None}


def _read(path: Path, sha256: str | None) -> dict[str, Any] | None:
    """Read a checkpoint's state; None if it is corrupted."""
    data = path.read_bytes().partition(b"\n")[2]
    if hashlib.sha256(data).hexdigest() != sha256:
        return None
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError):
        return None
