"""The training loop: model, loaders and loss come in as arguments."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from podium import metrics, models, optim, progress, schedule
from podium import seed as seeding
from podium.errors import UserError
from podium.infer import infer
from podium.loading import Batch
from podium.schema import MetricName, Model


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: a line of the curves."""

    epoch: int  # from 1, through all phases
    phase: int  # from 1
    train_loss: float
    valid_loss: float  # cross-entropy, without smoothing
    score: float  # the competition's metric on the validation fold
    lr: float  # the head's, at the epoch's last step
    images_per_s: float  # of the training part
    seconds: float


@dataclass(frozen=True)
class Best:
    """The best epoch so far, and the model's state after it."""

    epoch: Epoch
    rank: tuple[float, float]  # by the metric, then by validation loss; more is better
    state: dict[str, Tensor]  # on the CPU


def fit(
    net: nn.Module,
    train: "DataLoader[Batch]",
    valid: "DataLoader[Batch]",
    *,
    config: Model,
    metric: MetricName,
    loss: Callable[[Tensor, Tensor], Tensor],
    seed: int,
    accelerator: Accelerator,
) -> tuple[Best, list[Epoch]]:
    """Train `net` through the phases of `config`: the best epoch by `metric`, and all the curves.

    When `config.patience` epochs have passed without a better score, the next phase begins.

    Raises:
        UserError: if the loss stops being a finite number.
    """
    best: Best | None = None
    curves: list[Epoch] = []
    model, device, steps = accelerator.prepare(net), accelerator.device, len(train)
    normalize = models.Normalize(net).to(device)
    for number, phase in enumerate(config.phases, 1):
        models.set_trainable(net, phase.trainable)
        accelerator.free_memory()  # the last phase's optimizer
        optimizer = accelerator.prepare(optim.create(net, phase, config.weight_decay))
        total, warmup = phase.epochs * steps, round(phase.warmup_epochs * steps)
        waited = 0
        for first_step in range(0, total, steps):
            start, epoch = time.perf_counter(), len(curves) + 1
            seeding.set_global(seed, "epoch", epoch)
            train.batch_sampler.epoch = epoch  # type: ignore[union-attr]
            models.set_training(net, phase.batch_norm)
            losses = torch.zeros(steps, device=device)  # read at the epoch's end: no wait within
            for step, batch in enumerate(progress.bar(train, f"epoch {epoch}")):
                factor = schedule.warmup_cosine(first_step + step, total=total, warmup=warmup)
                optim.set_factor(optimizer, factor)
                images = normalize(batch.images.to(device, non_blocking=True))
                with accelerator.autocast():
                    value = loss(model(images), batch.targets.to(device, non_blocking=True))
                accelerator.backward(value)
                optimizer.step()
                optimizer.zero_grad()
                losses[step] = value.detach()
            train_loss, seconds = losses.mean().item(), time.perf_counter() - start
            if not math.isfinite(train_loss):
                raise UserError(f"epoch {epoch}: the loss is {train_loss}: lower lr, or use fp32")
            speed = steps * len(batch.targets) / seconds
            valid_loss, score = evaluate(model, valid, metric=metric, accelerator=accelerator)
            seconds, lr = time.perf_counter() - start, phase.lr * factor
            curves.append(Epoch(epoch, number, train_loss, valid_loss, score, lr, speed, seconds))
            rank, waited = (metrics.rank(metric, score), -valid_loss), waited + 1
            if best is None or rank > best.rank:
                best, waited = Best(curves[-1], rank, _copy(net)), 0
            progress.say(_line(curves[-1], metric, is_best=waited == 0))
            if waited == config.patience:
                break
    assert best is not None  # a phase has an epoch or more
    return best, curves


def evaluate(
    model: nn.Module, loader: "DataLoader[Batch]", *, metric: MetricName, accelerator: Accelerator
) -> tuple[float, float]:
    """The cross-entropy and the metric's score on the images of `loader`."""
    logits = infer(model, loader, views=["identity"], accelerator=accelerator)
    targets = loader.dataset.targets  # type: ignore[attr-defined]
    score = metrics.score(metric, targets.numpy(), logits.numpy())
    return F.cross_entropy(logits, targets).item(), score


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in net.state_dict().items()}


def _line(row: Epoch, metric: str, *, is_best: bool) -> str:
    return (
        f"epoch {row.epoch:3d}  train loss {row.train_loss:.4f}  valid loss {row.valid_loss:.4f}  "
        f"{metric} {row.score:.4f}{'*' if is_best else ' '}  lr {row.lr:.1e}  "
        f"{row.images_per_s:.0f} images/s"
    )
