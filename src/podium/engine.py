"""The training loop: model, loaders, loss and mixer come in as arguments."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.utils.data import DataLoader

from podium import layers, losses, metrics, models, optim, progress, schedule
from podium import seed as seeding
from podium.errors import UserError
from podium.infer import infer
from podium.loading import Batch, Loaders
from podium.model_schema import Model
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


def fit(
    *,
    net: nn.Module,
    loaders: Loaders,
    config: Model,
    metric: MetricName,
    loss: Callable[[Tensor, Tensor], Tensor],
    mixer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    seed: int,
    accelerator: Accelerator,
) -> tuple[Best, list[Epoch]]:
    """Train `net` through the phases of `config`: the best epoch by `metric`, and all the curves.

    `mixer` makes of normalised images and classes what the model and the loss get: images and soft
    targets. When `config.patience` epochs have passed without a score above the best of all, the
    next phase begins.

    Raises:
        UserError: if the loss stops being a finite number.
    """
    best: Best | None = None
    curves: list[Epoch] = []
    train, valid = loaders
    model, device, steps = accelerator.prepare(net), accelerator.device, len(train)
    normalize, order, taken = models.Normalize(net).to(device), train.batch_sampler, 0
    ema = None if config.ema is None else ModelEmaV3(net, decay=config.ema, use_warmup=True)
    kept = model if ema is None else ema.module  # what is scored, and of what the best is kept
    for number, phase in enumerate(config.phases, 1):
        if phase.start == "best" and best is not None:
            net.load_state_dict(best.state)
            kept.load_state_dict(best.state)
        layers.set_trainable(net, phase.trainable)
        accelerator.free_memory()  # the last phase's optimizer
        optimizer = accelerator.prepare(optim.create(net, phase, config))
        waited, ranks = 0, list[tuple[float, float]]()
        for first_step in range(0, phase.epochs * steps, steps):
            start, epoch = time.perf_counter(), len(curves) + 1
            order.epoch, order.phase = epoch, number - 1  # type: ignore[union-attr]
            layers.set_training(net, phase.batch_norm)
            values = torch.zeros(steps, device=device)  # read at the epoch's end: no wait within
            for step, batch in enumerate(progress.bar(train, f"epoch {epoch}")):
                taken += 1
                seeding.set_global(seed, "step", taken)
                factor = schedule.factor(phase, first_step + step, epoch=steps, scores=ranks)
                optim.set_factor(optimizer, factor)
                images = normalize(batch.images.to(device, non_blocking=True))
                images, targets = mixer(images, batch.targets.to(device, non_blocking=True))
                with accelerator.autocast():
                    value = loss(model(images), targets)
                values[step] = value.detach()
                first, end = _together(step, config.accumulate, steps)
                accelerator.backward(value / (end - first))
                if step + 1 == end:
                    if config.clip_norm is not None:
                        accelerator.clip_grad_norm_(net.parameters(), config.clip_norm)
                    optimizer.step()
                    optimizer.zero_grad()
                    if ema is not None:
                        ema.update(net, step=math.ceil(taken / config.accumulate))
            train_loss, seconds = values.mean().item(), time.perf_counter() - start
            if not math.isfinite(train_loss):
                raise UserError(f"epoch {epoch}: the loss is {train_loss}: lower lr, or use fp32")
            scores = evaluate(kept, valid, config=config, metric=metric, accelerator=accelerator)
            curves.append(
                Epoch(
                    epoch,
                    number,
                    train_loss,
                    **scores,
                    **optim.rates(optimizer),
                    images_per_s=steps * len(batch.targets) / seconds,
                    seconds=time.perf_counter() - start,
                )
            )
            ranks.append((metrics.rank(metric, scores["score"]), -scores["valid_loss"]))
            waited += 1
            if best is None or ranks[-1] > best.rank:
                best, waited = Best(curves[-1], ranks[-1], _copy(accelerator.unwrap_model(kept))), 0
            progress.say(_line(curves[-1], metric, is_best=waited == 0))
            if waited == config.patience:
                break
    assert best is not None  # a phase has an epoch or more
    return best, curves


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
