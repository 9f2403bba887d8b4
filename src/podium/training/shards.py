"""Data-parallel training: batches are cut into shards, whose gradients are added in a fixed order.

What is random depends on the shard, and no sum depends on which process computes its terms. So one
process that trains on all shards gets the same bytes as several that share them.

DistributedDataParallel is not used: wrapped before a phase unfreezes layers, it leaves their
gradients unsynchronized without an error. Optimizer, clipping and EMA run in each process, on equal
gradients.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from podium.core import signals
from podium.core.errors import Stopped, UserError
from podium.images.loading import Batch
from podium.models import inputs
from podium.training.processes import Processes


class Shards:
    """The shards of each batch, and those that this process trains on."""

    def __init__(self, count: int, processes: Processes) -> None:
        """Divide `count` shards evenly."""
        if count % processes.size:
            raise UserError(
                f"shards: {count} cannot be divided among {processes.size} processes. Change one."
            )
        share = count // processes.size
        self.count, self.processes, self.begin = count, processes, processes.rank * share
        self.end = self.begin + share
        self.rows = list[Tensor]()  # per shard: gradients, batch-norm buffers, weight, loss, stop
        self.earlier: list[Tensor | None] | None = None  # gradients of earlier accumulation steps
        self.others_stop = False

    def split(self, batch: Batch, images: int) -> Iterator[tuple[tuple[int, ...], Batch]]:
        """This process's part of a batch of `images` (or units), by shard, each with a key for what
        is random. Without shards the key is empty.
        """
        if self.count == 1:
            yield (), batch
            return
        bounds = [images * shard // self.count for shard in range(self.begin, self.end + 1)]
        sizes = [end - begin for begin, end in pairwise(bounds)]
        parts = zip(inputs.split_at(batch.inputs, sizes), batch.targets.split(sizes), strict=True)
        for number, (part, targets) in enumerate(parts):
            yield (self.begin + number,), Batch(part, targets)

    def factor(self, weight: Tensor, images: int) -> Tensor:
        """What a shard's mean loss counts in a batch of `images`, for gradients that are divided by
        the sum of these factors in the end; 1 without shards.
        """
        return torch.ones_like(weight) if self.count == 1 else weight / images

    def begin_step(self, net: nn.Module) -> None:
        """Put the gradients of earlier accumulation steps aside."""
        if self.count > 1:
            self.earlier = [parameter.grad for parameter in _trainable(net)]
            _clear(net)

    def add(self, net: nn.Module, *, weight: Tensor, loss: Tensor) -> None:
        """Keep the gradients of a shard. They and its `loss` are multiplied by its `weight`."""
        if self.count == 1:
            self.rows = [loss[None]]
            return
        parts = [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
            for p in _trainable(net)
        ]
        # Of batch norms, the statistics of the first shard count.
        parts += [buffer.detach().float().flatten() for buffer in _buffers(net)]
        stop = torch.full_like(loss, float(signals.stop_requested()))
        self.rows.append(torch.cat([*parts, torch.stack([weight, loss, stop])]))
        _clear(net)

    @torch.no_grad()
    def end_step(self, net: nn.Module) -> Tensor:
        """Give the network the gradients of the whole batch; returns its loss, a scalar."""
        if self.count == 1:
            return self.rows.pop()[0]
        rows = self.processes.gather(torch.stack(self.rows))
        self.rows.clear()
        total, first = _tree_sum([*rows]), rows[0]
        weight, loss, stop = total[-3:]
        self.others_stop = bool(stop)
        parameters, buffers = _trainable(net), _buffers(net)
        sizes = [tensor.numel() for tensor in (*parameters, *buffers)]
        parts, own = total[:-3].split(sizes), first[:-3].split(sizes)
        assert self.earlier is not None
        for p, part, earlier in zip(parameters, parts, self.earlier, strict=False):
            gradient = (part / weight).view_as(p)
            p.grad = gradient if earlier is None else earlier + gradient
        for buffer, part in zip(buffers, own[len(parameters) :], strict=True):
            buffer.copy_(part.view_as(buffer))
        self.earlier = None
        return loss / weight

    def stop_requested(self) -> bool:
        """Whether one of the processes has been asked to stop: the same in all of them."""
        return signals.stop_requested() if self.processes.size == 1 else self.others_stop

    def raise_if_stopped(self) -> None:
        """Raises: Stopped: if one of the processes has been asked to stop."""
        signals.raise_if_stopped()
        if self.stop_requested():
            raise Stopped("the end of another process")


def _trainable(net: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def _buffers(net: nn.Module) -> list[Tensor]:
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    return [buffer for norm in norms for buffer in norm.buffers()]


def _clear(net: nn.Module) -> None:
    for parameter in net.parameters():
        parameter.grad = None


def _tree_sum(rows: list[Tensor]) -> Tensor:
    """The sum of neighbors, then of their sums: an order that is the same for any processes."""
    while len(rows) > 1:
        pairs = [a + b for a, b in zip(rows[::2], rows[1::2], strict=False)]
        rows = [*pairs, *rows[len(pairs) * 2 :]]
    return rows[0]
