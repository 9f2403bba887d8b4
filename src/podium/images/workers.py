"""The worker processes of a loader: how they start, and how they send batches."""

import math
import multiprocessing.queues
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from multiprocessing import util
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from podium.core import console, machine, signals
from podium.core.errors import UserError

PREFETCH_BATCHES = 2  # per worker
BUFFERS = PREFETCH_BATCHES + 1  # one more for the batch that the main process is copying
SHARED_MEMORY = Path("/dev/shm")
MAX_SOCKET_PATH = 103  # characters, on macOS; Linux has 107
SOCKET_NAME = "/pymp-12345678/listener-12345678"  # of multiprocessing, in the temporary folder


class SharedBuffers:
    """A ring of shared-memory tensors that a loader worker reuses: newly allocated memory costs a
    page fault per 4 KiB, which can take half as long as decoding.
    """

    def __init__(self, count: int) -> None:
        """`take` reuses a tensor after `count` - 1 others."""
        self._tensors = deque[Tensor](maxlen=count)

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Return a uint8 tensor of `shape` to fill."""
        size, full = math.prod(shape), len(self._tensors) == self._tensors.maxlen
        if not full or self._tensors[0].numel() < size:
            self._tensors.append(torch.empty(size, dtype=torch.uint8).share_memory_())
        else:
            self._tensors.rotate(-1)
        return self._tensors[-1][:size].view(shape)


def start(_: int) -> None:
    """Set up a worker process: `worker_init_fn` of a DataLoader of `Images`."""
    cv2.setNumThreads(0)
    images: Any = get_worker_info().dataset  # type: ignore[union-attr]
    if images.shares_memory:
        images.buffers = SharedBuffers(BUFFERS)
    # By default, a batch that cannot be sent is lost, and the main process waits for it forever.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_fail_to_send)  # type: ignore[attr-defined]
    signals.die_with_parent()
    # On a signal to the process group, the main process writes a checkpoint, then ends its workers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _fail_to_send(error: Exception, _: object) -> None:
    message = f"error: a DataLoader worker cannot send a batch: {type(error).__name__}: {error}\n"
    os.write(sys.stderr.fileno(), message.encode())
    os._exit(1)


def use_short_socket_paths() -> None:
    """Make multiprocessing create its sockets in a folder whose path is short enough for them.

    Raises:
        UserError: if there is none.
    """
    folder = tempfile.gettempdir()
    if sys.platform == "win32" or len(os.fsencode(folder + SOCKET_NAME)) <= MAX_SOCKET_PATH:
        return
    for short in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.access(short, os.W_OK | os.X_OK):
            tempfile.tempdir = short
            util.get_temp_dir()  # multiprocessing, also in the workers, keeps to it
            tempfile.tempdir = folder
            return
    raise UserError(
        f"TMPDIR: {folder} is too long for the sockets of DataLoader workers. Use a path of at "
        f"most {MAX_SOCKET_PATH - len(SOCKET_NAME)} characters, or {machine.WORKERS_VARIABLE}=0."
    )


def fit_shared_memory(count: int, *, batch_bytes: int) -> bool:
    """Whether `count` workers can send their batches in shared memory: writing to more than there
    is would kill them.
    """
    if not SHARED_MEMORY.is_dir():  # not on Linux
        return True
    needed, free = count * BUFFERS * batch_bytes, shutil.disk_usage(SHARED_MEMORY).free
    if needed <= free:
        return True
    console.say(
        f"warning: batches are sent through pipes, which is slower: they take {needed / 2**20:.0f} "
        f"MiB, and {SHARED_MEMORY} has {free / 2**20:.0f} MiB. In Docker, use --shm-size."
    )
    return False
