"""All that changes while a model trains: its weights, its optimizer and its place, resumable."""

import dataclasses
import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from podium.config.models import Model
from podium.config.phases import Phase
from podium.models import inputs, layers
from podium.models.inputs import Inputs
from podium.scoring.metrics import Metric
from podium.training import optimizers, schedules
from podium.training.criterion import Criterion


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: a line of the curves."""

    epoch: int  # from 1, through all phases
    phase: int  # from 1, gradual unfreezing written out
    train_loss: float
    valid_loss: float  # cross-entropy of the validation fold, without smoothing or weights; of
    # task: regression the mean squared error
    score: float  # the competition's metric on the validation fold
    accuracy: float | None  # None as the next three of task: regression
    precision: float | None  # macro, as the next two
    recall: float | None
    f1: float | None
    lr: float  # the head's, at the epoch's last step
    backbone_lr: float | None  # the lowest of the backbone's; None where it does not train
    micro_batches: int  # that a batch was taken in
    images_per_s: float  # of the training part
    seconds: float


@dataclass(frozen=True)
class Best:
    """The best epoch so far, and the model's state after it."""

    epoch: Epoch
    rank: tuple[float, float]  # by the metric, then by validation loss; more is better
    state: dict[str, Tensor]  # on the CPU; of the moving average, if there is one


@dataclass
class Progress:
    """Where a training stands, beside its weights and its optimizer. All counts begin at 0."""

    phase: int = 0
    epoch: int = 0  # of the phase
    step: int = 0  # of the epoch
    global_step: int = 0  # steps of all
    epochs_since_best: int = 0  # epochs of the phase without one better than the best of all
    history: list[tuple[float, float]] = field(default_factory=list)  # of the phase's epochs
    losses: list[float] = field(default_factory=list)  # of the epoch's steps, 0 for those to come
    seconds: float = 0.0  # of the epoch so far; it and the losses only as a checkpoint needs them


class TrainState:
    """All that changes while a model trains: what a checkpoint holds."""

    def __init__(
        self, net: nn.Module, config: Model, accelerator: Accelerator, *, micro_batches: int
    ) -> None:
        """Train `net`; each batch goes through it in `micro_batches`."""
        self.net, self.config, self.accelerator = net, config, accelerator
        self.micro_batches = micro_batches
        self.model = accelerator.prepare(net)
        self.learner: nn.Module = self.model
        self.ema = None
        if config.ema_decay is not None:
            self.ema = ModelEmaV3(net, decay=config.ema_decay, use_warmup=True)
        self.kept: nn.Module = self.model if self.ema is None else self.ema.module  # is scored
        self.progress, self.curves = Progress(), list[Epoch]()
        self.best: Best | None = None
        self._begin()

    @property
    def ended(self) -> bool:
        """Whether all phases are over."""
        return self.progress.phase == len(self.config.phases)

    @property
    def phase(self) -> Phase:
        """The phase that it is in."""
        return self.config.phases[self.progress.phase]

    def set_rates(self, steps: int) -> None:
        """Set the rates of the next step, in epochs of `steps`."""
        place = self.progress
        step = place.epoch * steps + place.step
        factor = schedules.factor(self.phase, step, epoch=steps, scores=place.history)
        optimizers.set_factor(self.optimizer, factor)

    def learn(self, batch: Inputs, targets: Tensor, loss: Criterion, *, steps: int) -> Tensor:
        """Add the gradients of one of `steps` batches, preprocessed inputs and soft targets [B, C]:
        its loss.
        """
        whole, total = loss.weight(targets), torch.zeros((), device=targets.device)
        for seen, wanted in zip(
            inputs.split(batch, self.micro_batches),
            targets.tensor_split(self.micro_batches),
            strict=True,
        ):
            with self.accelerator.autocast():
                value = loss(inputs.forward(self.learner, seen), wanted) * (
                    loss.weight(wanted) / whole
                )
            self.accelerator.backward(value / steps)
            total += value.detach()
        return total

    def note(self, values: Tensor, seconds: float) -> None:
        """Note the losses of the epoch's steps [steps], and the seconds that it has taken."""
        self.progress.losses, self.progress.seconds = values.tolist(), seconds

    def is_finite(self) -> bool:
        """Whether all weights and statistics are numbers."""
        floats = [t for t in self.net.state_dict().values() if t.is_floating_point()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in floats]).all())

    def update(self) -> None:
        """Change the weights by the gradients, and their average by the weights."""
        if self.config.grad_clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.net.parameters(), self.config.grad_clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema is not None:
            step = math.ceil(self.progress.global_step / self.config.grad_accum_steps)
            self.ema.update(self.net, step=step)

    def end_epoch(
        self, scores: dict[str, Any], *, metric: Metric, images: int, seconds: float
    ) -> bool:
        """Go on to the next epoch or phase; whether the one that ended is the best so far.

        `scores` are those of the validation fold, `images` those trained on, `seconds` of both.
        """
        place = self.progress
        epoch = Epoch(
            len(self.curves) + 1,
            place.phase + 1,
            statistics.fmean(place.losses),
            **scores,
            **optimizers.rates(self.optimizer),
            micro_batches=self.micro_batches,
            images_per_s=images / place.seconds,
            seconds=seconds,
        )
        self.curves.append(epoch)
        rank = (metric.rank(epoch.score), -epoch.valid_loss)
        is_best = self.best is None or rank > self.best.rank
        if is_best:
            self.best = Best(epoch, rank, _copy(self.accelerator.unwrap_model(self.kept)))
        epochs_since_best = 0 if is_best else place.epochs_since_best + 1
        if place.epoch + 1 < self.phase.epochs and epochs_since_best != self.config.patience:
            history = [*place.history, rank]
            self.progress = Progress(
                place.phase, place.epoch + 1, 0, place.global_step, epochs_since_best, history
            )
            return is_best
        self.progress = Progress(place.phase + 1, global_step=place.global_step)
        if not self.ended:
            self._begin()
            if self.phase.init_from == "best":
                assert self.best is not None
                self.net.load_state_dict(self.best.state)
                self.kept.load_state_dict(self.best.state)
        return is_best

    def state(self) -> dict[str, Any]:
        """All of it as tensors, numbers and text."""
        best, scaler = self.best, self.accelerator.scaler
        return {
            "net": self.net.state_dict(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer": self.optimizer.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "progress": dataclasses.asdict(self.progress),
            "micro_batches": self.micro_batches,
            "curves": [dataclasses.asdict(epoch) for epoch in self.curves],
            "best": None
            if best is None
            else {**vars(best), "epoch": dataclasses.asdict(best.epoch)},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Be as when `state` was taken."""
        self.progress = Progress(**state["progress"])
        self.micro_batches = max(self.micro_batches, state["micro_batches"])
        self.curves = [Epoch(**epoch) for epoch in state["curves"]]
        if (best := state["best"]) is not None:
            self.best = Best(Epoch(**best["epoch"]), best["rank"], best["state"])
        if self.ended:  # but for what follows: the best and the curves are all that is left
            return
        self._begin()
        self.net.load_state_dict(state["net"])
        self.optimizer.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _begin(self) -> None:
        """Let train what the phase says, with a new optimizer."""
        layers.set_trainable(self.net, self.phase.trainable)
        self.accelerator.free_memory()  # the last phase's optimizer
        self.optimizer = self.accelerator.prepare(
            optimizers.create(self.net, self.phase, self.config)
        )
        if self.config.compile:
            torch.compiler.reset()  # torch keeps so many versions, and each phase needs its own
            self.learner = torch.compile(self.model, dynamic=False)  # type: ignore[assignment]


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in net.state_dict().items()}
