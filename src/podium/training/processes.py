"""The processes of one training run: `models.*.shards` of each batch are divided among them."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from podium.core import machine, signals

T = TypeVar("T")
# What torchrun sets. Accelerate would read it, too, and wrap the network.
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR",
            "MASTER_PORT", "TORCHELASTIC_RUN_ID")  # fmt: skip
TIMEOUT = timedelta(days=1)  # of a wait for the first process, which validates


class Processes:
    """One process alone."""

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates, prints and writes."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows [N, F] of all processes, in their order: [size x N, F]."""
        return rows

    def from_first(self, function: Callable[[], T]) -> T:
        """What the function returns in the first process."""
        return function()

    def wait(self) -> None:
        """Wait until all processes are here."""


class Several(Processes):
    """This process and others that torchrun has started."""

    def __init__(self, device: torch.device) -> None:
        """Join the others."""
        super().__init__()
        self.device = device
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def gather(self, rows: Tensor) -> Tensor:
        """See `Processes`."""
        gathered = [torch.empty_like(rows) for _ in range(self.size)]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    def from_first(self, function: Callable[[], T]) -> T:
        """See `Processes`."""
        values: list[Any] = [function() if self.is_first else None]
        dist.broadcast_object_list(values, device=self.device)
        value: T = values[0]
        return value

    def wait(self) -> None:
        """See `Processes`."""
        self.from_first(lambda: None)


_current = Processes()


def current() -> Processes:
    """The processes of this training run."""
    return _current


def count(shards: int) -> int:
    """The number of processes for a model: the most that divide the shards evenly and for which
    there are GPUs.
    """
    available = machine.process_count() if shards > 1 else 1
    return max(n for n in range(1, shards + 1) if shards % n == 0 and n <= available)


@contextlib.contextmanager
def joined(shards: int) -> Iterator[Processes]:
    """The processes that train a model with `shards`. If there are to be several, this one first
    becomes torchrun, which starts them with the same command line.
    """
    global _current  # noqa: PLW0603  one per process
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        if (several := count(shards)) > 1:
            _become_torchrun(several)
        yield _current
        return
    signals.die_with_parent(15)  # as if torchrun had forwarded it
    local_rank, is_first = int(os.environ["LOCAL_RANK"]), os.environ["RANK"] == "0"
    device = torch.device("cpu")
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        device = torch.device("cuda", local_rank)
    with contextlib.ExitStack() as stack:
        _current = Several(device)
        for name in TORCHRUN:
            os.environ.pop(name, None)
        if not is_first:
            null = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(null))
        yield _current
        _current.wait()
        dist.destroy_process_group()


def _become_torchrun(several: int) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={several}")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(torch.get_num_threads()),  # else one, which changes bytes
        machine.CORES_VARIABLE: str(max(1, machine.cores() // several)),
        machine.CACHE_VARIABLE: str(machine.cache_bytes() // several // 2**20),
    }
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *torchrun, *sys.argv], environment)
