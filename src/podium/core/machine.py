"""What this machine offers. Nothing here may change a result, so none of it is in params.yaml."""

import ctypes
import os
import sys
from pathlib import Path

import psutil

from podium.core.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
WORKERS_VARIABLE = "PODIUM_WORKERS"
CACHE_VARIABLE = "PODIUM_CACHE_MIB"
CACHE_SHARE = 0.25  # of the memory that is free
CGROUP = Path("/sys/fs/cgroup")  # what a container may use, which the machine's numbers leave out
LIMITS = (  # the limit, what is used of it, and of that what only caches files
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count() -> int:
    """How many processes decode images where nothing else runs: PODIUM_WORKERS, else the cores."""
    return max(1, _given(WORKERS_VARIABLE, cores()))


def loader_workers(device: str) -> int:
    """How many processes load images for a model: PODIUM_WORKERS, else one a core beside a GPU,
    and none where the model itself needs the cores.
    """
    return _given(WORKERS_VARIABLE, 0 if device == "cpu" else cores())


def cache_bytes() -> int:
    """How much memory a training may fill with decoded images: PODIUM_CACHE_MIB, else a quarter of
    what is free."""
    return _given(CACHE_VARIABLE, round(CACHE_SHARE * free_memory() / 2**20)) * 2**20


def free_memory() -> int:
    """The bytes that this process could still take."""
    free = psutil.virtual_memory().available
    for most, used, statistics, cached in LIMITS:
        try:
            left = int((CGROUP / most).read_text()) - int((CGROUP / used).read_text())
            lines = (CGROUP / statistics).read_text().splitlines()
            left += int(dict(line.split(maxsplit=1) for line in lines)[cached])
        except (OSError, ValueError, KeyError):  # no such group, or no limit
            continue
        free = min(free, max(0, left))
    return free


def keep_freed_memory() -> None:
    """Have the C library keep memory that is freed for what comes next. Handed back to the kernel
    and taken again it costs a page fault every 4 KiB, which can take a model on a CPU up to half of
    its time. Only glibc has that setting.

    Source: mallopt(3), with the settings for programs that allocate large blocks again and again.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def release_freed_memory() -> None:
    """Give the kernel what has been freed, for once: before it is measured how much is in use."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _given(variable: str, default: int) -> int:
    value = os.environ.get(variable, "")
    if value and not value.isdigit():
        raise UserError(f"{variable} is a whole number, not {value!r}")
    return int(value) if value else default
