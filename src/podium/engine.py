"""The training loop: model, loaders, loss and mixer come in as arguments."""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.utils.data import DataLoader

from podium import interrupt, layers, losses, metrics, models, optim, progress, schedule
from podium import seed as seeding
from podium.checkpoints import Checkpoints
from podium.errors import UserError, examples
from podium.infer import infer
from podium.loading import Batch, Loaders
from podium.model_schema import Model, Phase
from podium.schema import MetricName


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: a line of the curves."""

    epoch: int  # from 1, through all phases
    phase: int  # from 1, gradual unfreezing written out
    train_loss: float
    valid_loss: float  # cross-entropy of the validation fold, without smoothing or weights
    score: float  # the competition's metric on the validation fold
    accuracy: float
    precision: float  # macro, as the next two
    recall: float
    f1: float
    lr: float  # the head's, at the epoch's last step
    backbone_lr: float | None  # the lowest of the backbone's; None where it does not train
    images_per_s: float  # of the training part
    seconds: float


@dataclass(frozen=True)
class Best:
    """The best epoch so far, and the model's state after it."""

    epoch: Epoch
    rank: tuple[float, float]  # by the metric, then by validation loss; more is better
    state: dict[str, Tensor]  # on the CPU; of the moving average, if there is one


@dataclass
class Place:
    """Where a training stands, beside its weights and its optimizer. All counts begin at 0."""

    phase: int = 0
    epoch: int = 0  # of the phase
    step: int = 0  # of the epoch
    taken: int = 0  # steps of all
    waited: int = 0  # epochs of the phase without one better than the best of all
    ranks: list[tuple[float, float]] = field(default_factory=list)  # of the phase's epochs
    losses: list[float] = field(default_factory=list)  # of the epoch's steps, 0 for those to come
    seconds: float = 0.0  # of the epoch so far; it and the losses only as a checkpoint needs them


class Training:
    """All that changes while a model trains: what a checkpoint holds."""

    def __init__(self, net: nn.Module, config: Model, accelerator: Accelerator) -> None:
        self.net, self.config, self.accelerator = net, config, accelerator
        self.model = accelerator.prepare(net)
        self.ema = None
        if config.ema is not None:
            self.ema = ModelEmaV3(net, decay=config.ema, use_warmup=True)
        self.kept: nn.Module = self.model if self.ema is None else self.ema.module  # is scored
        self.place, self.curves = Place(), list[Epoch]()
        self.best: Best | None = None
        self._begin()

    @property
    def ended(self) -> bool:
        """Whether all phases are over."""
        return self.place.phase == len(self.config.phases)

    @property
    def phase(self) -> Phase:
        """The phase that it is in."""
        return self.config.phases[self.place.phase]

    def update(self) -> None:
        """Change the weights by the gradients, and their average by the weights."""
        if self.config.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema is not None:
            step = math.ceil(self.place.taken / self.config.accumulate)
            self.ema.update(self.net, step=step)

    def end_epoch(self, epoch: Epoch, rank: tuple[float, float]) -> bool:
        """Go on to the next epoch or phase; whether the one that ended is the best so far."""
        self.curves.append(epoch)
        place, is_best = self.place, self.best is None or rank > self.best.rank
        if is_best:
            self.best = Best(epoch, rank, _copy(self.accelerator.unwrap_model(self.kept)))
        waited = 0 if is_best else place.waited + 1
        if place.epoch + 1 < self.phase.epochs and waited != self.config.patience:
            ranks = [*place.ranks, rank]
            self.place = Place(place.phase, place.epoch + 1, 0, place.taken, waited, ranks)
            return is_best
        self.place = Place(place.phase + 1, taken=place.taken)
        if not self.ended:
            self._begin()
            if self.phase.start == "best":
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
            "place": dataclasses.asdict(self.place),
            "curves": [dataclasses.asdict(epoch) for epoch in self.curves],
            "best": None
            if best is None
            else {**vars(best), "epoch": dataclasses.asdict(best.epoch)},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Be as when `state` was taken."""
        self.place = Place(**state["place"])
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
        self.optimizer = self.accelerator.prepare(optim.create(self.net, self.phase, self.config))


def fit(
    *,
    net: nn.Module,
    loaders: Loaders,
    config: Model,
    metric: MetricName,
    loss: Callable[[Tensor, Tensor], Tensor],
    mixer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    accelerator: Accelerator,
    checkpoints: Checkpoints,
) -> tuple[Best, list[Epoch]]:
    """Train `net` through the phases of `config`: the best epoch by `metric`, and all the curves.

    `mixer` makes of normalised images and classes what the model and the loss get: images and soft
    targets. When `config.patience` epochs have passed without a score above the best of all, the
    next phase begins. A training that was interrupted goes on from its last checkpoint.

    Raises:
        UserError: if the loss stops being a finite number.
        Stopped: when the process was asked to end; a checkpoint has been written.
    """
    (train, valid), device = loaders, accelerator.device
    steps, order = len(train), train.batch_sampler
    normalize, training = models.Normalize(net).to(device), Training(net, config, accelerator)
    if (state := checkpoints.load()) is not None:
        training.resume(state)
        progress.say(f"going on from a checkpoint after {training.place.taken} steps")
    while not training.ended:
        phase, place, epoch = training.phase, training.place, len(training.curves) + 1
        start = time.perf_counter() - place.seconds
        order.epoch, order.phase, order.first = epoch, place.phase, place.step  # type: ignore[union-attr]
        layers.set_training(net, phase.batch_norm)
        # Read at the epoch's end: no wait within.
        values = torch.tensor(place.losses or [0.0] * steps, device=device)
        for batch in progress.bar(train, f"epoch {epoch}"):
            step = place.epoch * steps + place.step
            factor = schedule.factor(phase, step, epoch=steps, scores=place.ranks)
            optim.set_factor(training.optimizer, factor)
            seeding.set_global(order.seed, "step", place.taken + 1)  # type: ignore[union-attr]
            images = normalize(batch.images.to(device, non_blocking=True))
            images, targets = mixer(images, batch.targets.to(device, non_blocking=True))
            with accelerator.autocast():
                value = loss(training.model(images), targets)
            values[place.step] = value.detach()
            first, end = _together(place.step, config.accumulate, steps)
            accelerator.backward(value / (end - first))
            place.step, place.taken = place.step + 1, place.taken + 1
            if place.step == end:
                training.update()
                if interrupt.asked() or checkpoints.due():
                    place.losses, place.seconds = values.tolist(), time.perf_counter() - start
                    _check(place.losses, train, epoch=epoch)
                    checkpoints.save(training.state())
                    interrupt.check()
        place.losses, place.seconds = values.tolist(), time.perf_counter() - start
        _check(place.losses, train, epoch=epoch)
        speed = steps * min(order.batch_size, order.count) / place.seconds  # type: ignore[union-attr]
        with checkpoints.kept_if_stopped(training.state):
            scores = evaluate(
                training.kept, valid, config=config, metric=metric, accelerator=accelerator
            )
        row = Epoch(
            epoch,
            place.phase + 1,
            values.mean().item(),
            **scores,
            **optim.rates(training.optimizer),
            images_per_s=speed,
            seconds=time.perf_counter() - start,
        )
        rank = (metrics.rank(metric, scores["score"]), -scores["valid_loss"])
        is_best = training.end_epoch(row, rank)
        checkpoints.save(training.state())
        progress.say(_line(row, metric, is_best=is_best))
        interrupt.check()
    assert training.best is not None  # a phase has an epoch or more
    return training.best, training.curves


def evaluate(
    model: nn.Module,
    loader: "DataLoader[Batch]",
    *,
    config: Model,
    metric: MetricName,
    accelerator: Accelerator,
) -> dict[str, float]:
    """The scores of `model` on the images of `loader`, as `Epoch` names them."""
    readout = losses.readout(config)
    logits = infer(model, loader, views=["identity"], readout=readout, accelerator=accelerator)
    targets = loader.dataset.targets  # type: ignore[attr-defined]
    return {
        "valid_loss": F.cross_entropy(logits, targets).item(),
        "score": metrics.score(metric, targets.numpy(), logits.numpy()),
        **metrics.overview(targets.numpy(), logits.numpy()),
    }


def _check(values: list[float], train: "DataLoader[Batch]", *, epoch: int) -> None:
    """Raises: UserError: naming the first step whose loss is no number, and its images."""
    for step, value in enumerate(values):
        if not math.isfinite(value):
            order, ids = train.batch_sampler, train.dataset.ids  # type: ignore[attr-defined]
            order.first = 0  # type: ignore[union-attr]
            batch = next(itertools.islice(order, step, None))  # type: ignore[arg-type]
            raise UserError(
                f"epoch {epoch}, step {step + 1}: the loss is {value}, of the images "
                f"{examples([ids[draw.row] for draw in batch])}: lower lr, set clip_norm, or use "
                "precision: fp32. The checkpoint before is kept"
            )


def _together(step: int, accumulate: int, steps: int) -> tuple[int, int]:
    """The first step and the end of those, in an epoch of `steps`, whose gradients are averaged."""
    first = step // accumulate * accumulate
    return first, min(first + accumulate, steps)


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in net.state_dict().items()}


def _line(row: Epoch, metric: str, *, is_best: bool) -> str:
    return (
        f"epoch {row.epoch:3d}  train loss {row.train_loss:.4f}  valid loss {row.valid_loss:.4f}  "
        f"{metric} {row.score:.4f}{'*' if is_best else ' '}  lr {row.lr:.1e}  "
        f"{row.images_per_s:.0f} images/s"
    )
