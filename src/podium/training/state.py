"""The state of a training run: everything that changes while a model trains, and is resumed."""

import dataclasses
import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from podium.config.phases import Phase
from podium.models import device, layers
from podium.scoring.metrics import Metric
from podium.training import optimizers, schedules
from podium.training.build import Components
from podium.training.epochs import Best, Epoch, Rank, to_average


@dataclass
class Progress:
    """How far a training run has come. All counts start at 0."""

    phase: int = 0
    epoch: int = 0  # within the phase
    step: int = 0  # within the epoch
    global_step: int = 0
    epochs_since_best: int = 0  # within the phase; best of all phases
    history: list[Rank | None] = field(default_factory=list)  # of the phase's epochs
    seconds: float = 0.0  # in the current epoch, up to its last checkpoint
    feature_seconds: float = 0.0  # before it, for the features that the head trains on


class TrainState:
    """The weights, their optimizer and the progress of a training run."""

    def __init__(self, run: Components, *, phase: int = 0, micro_batches: int = 1) -> None:
        """Start training `run.net` from its current weights, in `phase`."""
        self.net, self.config, self.accelerator = run.net, run.config, run.accelerator
        self.epochs = run.epochs
        self.micro_batches, self.steps_per_epoch = micro_batches, len(run.loaders.train)
        self.model: nn.Module = self.accelerator.prepare(self.net)  # compiled if configured
        self.ema = None
        if self.config.ema_decay is not None:
            self.ema = ModelEmaV3(self.net, decay=self.config.ema_decay, use_warmup=True)
        self.progress = Progress(phase=phase)
        self.step_losses = torch.zeros(self.steps_per_epoch, device=self.accelerator.device)
        self.curves: list[Epoch] = []
        self.uses_features: bool | None = None  # in the first phase; None: not decided yet
        self.best: Best | None = None
        self.kept: list[Best] = []  # epochs to average, in order
        self._begin_phase()

    @property
    def finished(self) -> bool:
        """Whether all phases have ended."""
        return self.progress.phase == len(self.config.phases)

    @property
    def epochs_left(self) -> dict[int, int]:
        """Epochs in this phase and those after it, unless a phase ends early: by phase, from 1."""
        phase = self.progress.phase
        left = dict(enumerate(self.epochs[phase:], phase + 1))
        return left if self.finished else left | {phase + 1: left[phase + 1] - self.progress.epoch}

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self.config.phases[self.progress.phase]

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 1 and across all phases."""
        return len(self.curves) + 1

    @property
    def evaluated_model(self) -> nn.Module:
        """The model that is scored and saved: the EMA model if there is one."""
        return self.net if self.ema is None else self.ema.module

    @property
    def best_rank(self) -> Rank:
        """The rank of the best epoch so far."""
        return (self.best and self.best.rank) or (-math.inf, -math.inf)

    def set_lr(self) -> None:
        """Set the learning rates of the next step."""
        progress, steps = self.progress, self.steps_per_epoch
        factor = schedules.factor(
            self.phase,
            progress.epoch * steps + progress.step,
            steps_per_epoch=steps,
            history=progress.history,
        )
        optimizers.set_factor(self.optimizer, factor)

    def is_finite(self) -> bool:
        """Whether all weights and buffers are finite."""
        floats = [t for t in self.net.state_dict().values() if t.is_floating_point()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in floats]).all())

    def end_epoch(
        self, scores: dict[str, Any], *, metric: Metric, images: int, seconds: float
    ) -> bool:
        """Record the epoch and move on to the next epoch or phase.

        `scores` are those of the held-out fold (None without one: the last epoch is then the best),
        `images` the number trained on, `seconds` include validation, but not the features that the
        head trains on. Returns whether the epoch is the best so far.
        """
        progress = self.progress
        epoch = Epoch(
            self.epoch,
            progress.phase + 1,
            statistics.fmean(self.step_losses.tolist()),
            **scores,
            **optimizers.learning_rates(self.optimizer),
            micro_batches=self.micro_batches,
            images_per_s=images / progress.seconds,
            seconds=seconds + progress.feature_seconds,
            feature_seconds=progress.feature_seconds,
        )
        self.curves.append(epoch)
        self.step_losses.zero_()
        rank = epoch.rank(metric)
        is_best = rank is None or rank > self.best_rank
        is_last_phase = progress.phase + 1 == len(self.config.phases)
        is_averaged = is_last_phase and self.config.average_checkpoints is not None
        if is_best or is_averaged:
            this = Best(epoch, rank, copy_weights(self.evaluated_model))
            self.best = this if is_best else self.best
            self.kept = to_average([*self.kept, this], self.config) if is_averaged else []
        epochs_since_best = 0 if is_best else progress.epochs_since_best + 1
        length = self.epochs[progress.phase]
        if progress.epoch + 1 < length and epochs_since_best != self.config.patience:
            self.progress = Progress(
                phase=progress.phase,
                epoch=progress.epoch + 1,
                global_step=progress.global_step,
                epochs_since_best=epochs_since_best,
                history=[*progress.history, rank],
            )
        else:
            self.progress = Progress(phase=progress.phase + 1, global_step=progress.global_step)
            if not self.finished:
                self._begin_phase()
        return is_best

    def state_dict(self) -> dict[str, Any]:
        """Everything as tensors, numbers and text."""
        best, scaler = self.best, self.accelerator.scaler
        return {
            "net": self.net.state_dict(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer": self.optimizer.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "progress": dataclasses.asdict(self.progress),
            "step_losses": self.step_losses,
            "micro_batches": self.micro_batches,
            "uses_features": self.uses_features,
            "curves": [dataclasses.asdict(epoch) for epoch in self.curves],
            "best": best and best.state_dict(),
            "kept": [kept.state_dict() for kept in self.kept],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.progress = Progress(**state["progress"])
        self.micro_batches = max(self.micro_batches, state["micro_batches"])
        self.uses_features = state["uses_features"]
        self.curves = [Epoch(**epoch) for epoch in state["curves"]]
        if (best := state["best"]) is not None:
            self.best = Best.of(best)
        self.kept = [Best.of(kept) for kept in state["kept"]]
        if self.finished:  # nothing is left to train
            return
        self._begin_phase()
        self.step_losses.copy_(state["step_losses"])
        self.net.load_state_dict(state["net"])
        self.optimizer.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _begin_phase(self) -> None:
        """Unfreeze what the phase trains, with a new optimizer and the phase's initial weights."""
        if self.phase.init_from == "best" and self.best is not None:
            self.net.load_state_dict(self.best.weights)
            self.evaluated_model.load_state_dict(self.best.weights)
        layers.set_trainable(self.net, self.phase.trainable)
        # Forget the last optimizer: with fp16, accelerate unscales gradients once per optimizer.
        self.accelerator.free_memory()
        self.optimizer = self.accelerator.prepare(
            optimizers.create(self.net, self.phase, self.config)
        )
        if self.config.compile:
            layers_trained = layers.trainable_names(self.net, self.phase.trainable)
            self.model = device.compiled(self.net, (layers_trained, self.phase.batch_norm))


def copy_weights(net: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's parameters and buffers on the CPU."""
    copied: dict[str, Tensor] = device.copy_to_cpu(dict(net.state_dict()))
    return copied
