"""The cores and memory of this machine. Environment variables override them: unlike params, they
do not change results.
"""

import ctypes
import itertools
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import psutil

from podium.core.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # constants of malloc.h
CORES_VARIABLE = "PODIUM_CORES"  # `make train` sets it for each of several training runs
WORKERS_VARIABLE = "PODIUM_WORKERS"
CACHE_VARIABLE = "PODIUM_CACHE_MIB"
TASKS_VARIABLE = "PODIUM_TASKS"  # a cluster's driver sets it: training runs that share the machine
VISIBLE = "CUDA_VISIBLE_DEVICES"
PROCESSES_VARIABLE = "PODIUM_PROCESSES"
CHECKPOINT_VARIABLE = "PODIUM_CHECKPOINT_MINUTES"
SMALL_ARCHIVE = 2**24  # bytes: the images are decoded in about the time that a process starts in
CACHE_FRACTION = 0.25  # share of the free memory
# Limits of containers and batch jobs, which psutil and the CPU affinity ignore: cgroups v2 and v1.
CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")  # the cgroups of this process: id:controllers:path
LIMITS = (  # limit, usage, and the key in memory.stat for reclaimable page cache
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
SPIN_COUNT = "30000"  # about 0.1 ms
QUOTAS = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))  # microseconds per period

# After a parallel loop, OpenMP's threads spin for milliseconds, on cores that the threads that load
# images need. libgomp reads this when torch loads it, which is after this module.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT


def cores() -> int:
    """The number of cores that this process may use: PODIUM_CORES, or all of its CPU affinity, up
    to the CPU quota of its cgroups (rounded up).
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    available = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    for folder, names in itertools.product(_cgroups("cpu"), QUOTAS):
        try:
            texts = [(folder / name).read_text(encoding="ascii") for name in names]
            quota, period = map(int, " ".join(texts).split())
        except (OSError, ValueError):  # no such cgroup, or no quota
            continue
        if quota > 0 < period:
            available = min(available, math.ceil(quota / period))
    return max(1, _from_environment(CORES_VARIABLE, available))


def worker_count() -> int:
    """The number of image decoders while no model runs: PODIUM_WORKERS, or one per core."""
    return max(1, _from_environment(WORKERS_VARIABLE, cores()))


def decoding_processes(size: int) -> int:
    """The number of processes that decode the images of an archive of `size` bytes: as
    `worker_count`, but one for a small archive, where a second would start while the first is done.
    """
    default = 1 if size < SMALL_ARCHIVE else cores()
    return max(1, _from_environment(WORKERS_VARIABLE, default))


def loader_workers(device: str) -> int:
    """The number of DataLoader workers: PODIUM_WORKERS, or one per core with a GPU, none without,
    where the model needs the cores.
    """
    return _from_environment(WORKERS_VARIABLE, 0 if device == "cpu" else cores())


def cache_bytes() -> int:
    """The memory for decoded images per training run: PODIUM_CACHE_MIB, or a quarter of the free
    memory, which several tasks share.
    """
    tasks = max(1, _from_environment(TASKS_VARIABLE, 1))
    default = round(CACHE_FRACTION * free_memory() / tasks / 2**20)
    return _from_environment(CACHE_VARIABLE, default) * 2**20


def checkpoint_minutes(default: float) -> float:
    """The time between checkpoints: PODIUM_CHECKPOINT_MINUTES, or `default`."""
    return _from_environment(CHECKPOINT_VARIABLE, 0) or default


def process_count() -> int:
    """The number of processes that a model with shards may train in: PODIUM_PROCESSES, or one per
    GPU, one without.
    """
    return max(1, _from_environment(PROCESSES_VARIABLE, len(gpus())))


def gpus() -> list[str]:
    """The GPUs to use, as CUDA_VISIBLE_DEVICES names them; without importing torch."""
    if VISIBLE in os.environ:
        return [gpu.strip() for gpu in os.environ[VISIBLE].split(",") if gpu.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return [*done.stdout.split()] if done.returncode == 0 else []


def free_memory() -> int:
    """The bytes that this process can still allocate."""
    free = psutil.virtual_memory().available
    for folder, (limit, used, cached) in itertools.product(_cgroups("memory"), LIMITS):
        try:
            names = (limit, used, "memory.stat")
            texts = [(folder / name).read_text(encoding="ascii") for name in names]
            left, lines = int(texts[0]) - int(texts[1]), texts[2].splitlines()
            left += int(dict(line.split(maxsplit=1) for line in lines)[cached])
        except (OSError, ValueError, KeyError):  # no such cgroup, or no limit
            continue
        free = min(free, max(0, left))
    return free


def _cgroups(controller: str) -> list[Path]:
    """The folders of this process's cgroups and of those around them, whose limits apply, too."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        lines = []
    folders = [CGROUP, CGROUP / controller]  # a container may see its own cgroup as the root
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers or controller in controllers.split(","):
            root = CGROUP / controller if controllers else CGROUP
            inner = PurePosixPath(path.lstrip("/"))
            folders += [root / part for part in (inner, *inner.parents)]
    return folders


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of returning it to the kernel: allocating it again
    costs a page fault per 4 KiB, which can take half of a model's time on a CPU.

    Source: mallopt(3).
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def release_freed_memory() -> None:
    """Return freed memory to the kernel once, before measuring how much is in use."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _from_environment(variable: str, default: int) -> int:
    value = os.environ.get(variable, "")
    if value and not value.isdigit():
        raise UserError(f"{variable} must be a whole number, not {value!r}. Fix or unset it.")
    return int(value) if value else default
