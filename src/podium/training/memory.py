"""The largest batch that a model can be trained with on this device."""

import math
from collections.abc import Callable

import psutil
import torch
from timm.utils import ModelEmaV3

from podium.config.phases import Phase
from podium.core import machine
from podium.core.errors import UserError
from podium.images.sampling import SampleIndex
from podium.models import inputs, layers
from podium.training import optimizers
from podium.training.build import Components

USABLE = 0.9  # of the memory: other batches may need a little more


class Trial:
    """Training steps with batches of any size, of the phase in which most trains."""

    def __init__(self, run: Components) -> None:
        self.run, net = run, run.net
        phases = run.config.phases

        def trained(phase: Phase) -> int:
            return sum(net.get_parameter(n).numel() for n in layers.trained(net, phase.trainable))

        phase = max(phases, key=trained)
        layers.set_trainable(net, phase.trainable)
        layers.set_training(net, phase.batch_norm)
        self.model = run.accelerator.prepare(net)
        self.optimizer = run.accelerator.prepare(optimizers.create(net, phase, run.config))
        self.ema = None if run.config.ema_decay is None else ModelEmaV3(net)
        self.device = run.accelerator.device

    def share(self, size: int) -> float:
        """The share of the device's memory (of a CPU, of what is free) that two training steps
        with `size` images take; infinite if they take too much.
        """
        try:
            if self.device.type != "cuda":
                machine.release_freed_memory()
                rss = psutil.Process().memory_info().rss
                return self._train(size) / (machine.free_memory() + rss)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            held = torch.cuda.memory_reserved(self.device)
            free = torch.cuda.mem_get_info(self.device)[0] + held
            self._train(size)
            return torch.cuda.max_memory_reserved(self.device) / free
        except torch.OutOfMemoryError:
            self.optimizer.zero_grad()
            return math.inf

    def _train(self, size: int) -> int:
        """Two steps, since the optimizer's own state comes with the first: the bytes that this
        process held between forward and backward.
        """
        one = self.run.loaders.train.dataset.__getitems__([SampleIndex(0)])
        batch = {name: t.repeat_interleave(size, dim=0) for name, t in one.inputs.items()}
        targets = one.targets.to(self.device).repeat_interleave(size, dim=0)
        encoded = self.run.codec.encode(targets)
        for _ in range(2):
            with self.run.accelerator.autocast():
                outputs = inputs.forward(self.model, self.run.preprocess(batch))
                loss = self.run.criterion(outputs, encoded)
            held = psutil.Process().memory_info().rss
            self.run.accelerator.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return held


def largest(share: Callable[[int], float], *, at_most: int, may_fail: bool) -> int:
    """The largest power of two up to `at_most` whose `share` of the memory is 0.9 or less, tried
    upwards. Unless a trial `may_fail` (on a CPU it would be killed), none is made that could take
    too much if twice the images took twice as much.

    Raises:
        UserError: if not even two images fit.
    """
    best, size = 0, 2  # one image has no batch statistics
    while size <= at_most:
        found = share(size)
        if found > USABLE:
            break
        best, size = size, size * 2
        if not may_fail and 2 * found > USABLE:
            break
    if best == 0:
        raise UserError("not even two images fit: take a smaller model or image_size")
    return best
