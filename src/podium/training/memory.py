"""The largest batch that a model can be trained with on this device."""

import math
from collections.abc import Callable

import numpy as np
import psutil
import torch

from podium.core import machine
from podium.core.errors import UserError
from podium.images.sampling import SampleIndex
from podium.models import inputs, layers
from podium.models.image_pool import SIZES
from podium.training.build import Components
from podium.training.state import TrainState

MIN_IMAGES = 2  # per batch: one image has no batch statistics
MAX_MEMORY_SHARE = 0.9  # other batches may need a little more


def heaviest_phases(run: Components) -> list[int]:
    """For each optimizer, the phase with the most trainable parameters; the largest last."""
    phases, sizes = run.config.phases, []
    for phase in phases:
        names = layers.trainable_names(run.net, phase.trainable)
        sizes.append(sum(run.net.get_parameter(name).numel() for name in names))
    ascending = sorted(range(len(phases)), key=sizes.__getitem__)
    heaviest = {phases[phase].optimizer: phase for phase in ascending}
    return sorted(heaviest.values(), key=ascending.index)


class Trial:
    """Training steps with any batch size, in the phase with the most trainable parameters."""

    def __init__(self, run: Components) -> None:
        self.run, self.device = run, run.accelerator.device
        self.state = TrainState(run, phase=heaviest_phases(run)[-1])
        layers.set_train_mode(run.net, self.state.phase.batch_norm)

    def memory_share(self, batch_size: int) -> float:
        """The share of the device's memory (CPU: of the free memory) that two training steps use;
        infinite if they do not fit.
        """
        try:
            if self.device.type != "cuda":
                machine.release_freed_memory()
                rss = psutil.Process().memory_info().rss
                return self._train(batch_size) / (machine.free_memory() + rss)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            reserved = torch.cuda.memory_reserved(self.device)
            available = torch.cuda.mem_get_info(self.device)[0] + reserved
            self._train(batch_size)
            return torch.cuda.max_memory_reserved(self.device) / available
        except torch.OutOfMemoryError:
            self.state.optimizer.zero_grad()
            return math.inf

    def _train(self, batch_size: int) -> int:
        """Take two steps, since the optimizer allocates its state in the first. Returns this
        process's resident bytes between forward and backward.
        """
        run = self.run
        dataset = run.loaders.train.dataset
        sample, sizes = dataset.__getitems__([SampleIndex(0)]), dataset.unit_sizes
        images = batch_size
        if sizes is not None:  # the largest units
            sizes = np.resize(sizes, batch_size) if batch_size > len(sizes) else sizes[:batch_size]
            images = int(sizes.sum())
        batch = {  # built on the device: a batch that is too large must exhaust its memory, not RAM
            name: tensor.to(self.device).repeat_interleave(images, dim=0)
            for name, tensor in sample.inputs.items()
        }
        if sizes is not None:
            batch[SIZES] = torch.tensor(sizes.tolist(), device=self.device)
        targets = sample.targets.to(self.device).repeat_interleave(batch_size, dim=0)
        encoded = run.criterion.encode(targets)
        for _ in range(2):
            with run.accelerator.autocast():
                outputs = inputs.forward(self.state.model, run.preprocess(batch))
                loss = run.criterion(outputs, encoded)
            rss = psutil.Process().memory_info().rss
            run.accelerator.backward(loss)
            self.state.optimizer.step()
            self.state.optimizer.zero_grad()
        return rss


def largest_batch(
    memory_share: Callable[[int], float],
    *,
    max_size: int,
    may_run_out: bool,
    noun: str = "images",
) -> int:
    """The largest power of two up to `max_size` whose memory share is at most 0.9, tried upwards.
    `noun`: what a batch consists of.

    On a CPU running out of memory kills the process: unless it `may_run_out`, a size is not tried
    if twice the memory share of the size before exceeds 0.9.

    Raises:
        UserError: if two of them do not fit.
    """
    best, size = 0, MIN_IMAGES
    while size <= max_size:
        share = memory_share(size)
        if share > MAX_MEMORY_SHARE:
            break
        best, size = size, size * 2
        if not may_run_out and 2 * share > MAX_MEMORY_SHARE:
            break
    if best == 0:
        raise UserError(
            f"{MIN_IMAGES} {noun} do not fit the memory. Use a smaller model or image_size."
        )
    return best
