"""Learning-rate range test: the loss at growing rates -> reports/lr_range/<model>.csv and .png."""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from podium.core import console, files, paths, program, seeding
from podium.core.errors import UserError, counted
from podium.images.loading import Batch
from podium.models import inputs, layers
from podium.params import schema
from podium.training import build, optimizers
from podium.training.build import Components

SMOOTHING = 0.9  # decay of the loss's moving average
MIN_STEPS = 10
DIVERGED = 3.0  # times the lowest smoothed loss


def main() -> None:
    """Run the test for one model on its first fold, and plot it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--phase", type=int, default=1, help="phase of the model (default: 1)")
    parser.add_argument(
        "--low", type=float, default=1e-6, help="first learning rate (default: 1e-6)"
    )
    parser.add_argument("--high", type=float, default=1.0, help="last learning rate (default: 1)")
    parser.add_argument("--steps", type=int, default=100, help="training steps (default: 100)")
    options = parser.parse_args()
    params = schema.load(build_models=True)
    config = params.model(options.model)
    seeding.set_deterministic(params.deterministic)
    data = build.read_data(paths.DATA)
    run = build.build(config, data, fold=params.folds.run[0], seed=config.seed_or(params.seed))
    curve = range_test(run, options.phase, low=options.low, high=options.high, steps=options.steps)
    path = paths.REPORTS / "lr_range" / f"{options.model}.png"
    files.write_csv(path.with_suffix(".csv"), curve)
    plot(curve, path, title=f"{options.model}, phase {options.phase}")
    lr = suggest_lr(curve)
    print(f"lowest loss at lr {10 * lr:.1e}; suggested lr: {lr:.1e}")
    print(f"plot: {path}")


def range_test(run: Components, phase: int, *, low: float, high: float, steps: int) -> pd.DataFrame:
    """Train for `steps` at rates growing geometrically from `low` to `high`, or until the smoothed
    loss is three times its minimum. `phase` (from 1) says what is trained, and how; its layer
    groups keep the ratios of their rates. Training starts from the initial weights.

    Returns:
        One row per step: lr (of the head), loss, smoothed.

    Raises:
        UserError: if there is no such phase, or the loss diverges at once.

    Source: https://arxiv.org/abs/1506.01186
    """
    config, accelerator = run.config, run.accelerator
    if not 1 <= phase <= len(config.phases):
        raise UserError(f"--phase {phase}: must be from 1 to {len(config.phases)}. Set another.")
    if not (steps >= MIN_STEPS and 0 < low < high):
        raise UserError(f"Set --steps to {MIN_STEPS} or more, and 0 < --low < --high.")
    settings = config.phases[phase - 1]
    layers.set_trainable(run.net, settings.trainable)
    model = accelerator.prepare(run.net)
    optimizer = accelerator.prepare(optimizers.create(run.net, settings, config))
    layers.set_train_mode(run.net, settings.batch_norm)
    rows: list[tuple[float, float, float]] = []
    average, lowest = 0.0, float("inf")
    seed = run.loaders.train.batch_sampler.seed
    batches = itertools.islice(_endless(run, phase), steps)
    for step, batch in enumerate(console.bar(batches, "range test", total=steps)):
        seeding.set_global(seed, "step", step + 1)
        lr = low * (high / low) ** (step / max(1, steps - 1))
        optimizers.set_factor(optimizer, lr / settings.lr)
        targets = batch.targets.to(accelerator.device)
        mixed, targets = run.mixer(run.preprocess(batch.inputs), targets)
        with accelerator.autocast():
            loss = run.criterion(inputs.forward(model, mixed), targets)
        accelerator.backward(loss)
        if config.grad_clip_norm is not None:
            accelerator.clip_grad_norm_(run.net.parameters(), config.grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        average = SMOOTHING * average + (1 - SMOOTHING) * loss.item()
        smoothed = average / (1 - SMOOTHING ** (step + 1))
        rows.append((lr, loss.item(), smoothed))
        lowest = min(lowest, smoothed)
        if not smoothed <= DIVERGED * lowest:  # also true for NaN
            break
    if len(rows) < MIN_STEPS:
        raise UserError(
            f"the loss diverged after {counted(len(rows), 'step')}. Set --low below {low:g}."
        )
    return pd.DataFrame(rows, columns=["lr", "loss", "smoothed"])


def suggest_lr(curve: pd.DataFrame) -> float:
    """A peak learning rate: a tenth of the rate with the lowest smoothed loss."""
    return float(curve["lr"].to_numpy()[curve["smoothed"].to_numpy().argmin()]) / 10


def plot(curve: pd.DataFrame, path: Path, *, title: str) -> None:
    """Plot the loss over the learning rate, with the suggested rate, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve["lr"], curve["loss"], color="0.8", label="loss per step")
    axes.plot(curve["lr"], curve["smoothed"], label="smoothed")
    axes.axvline(suggest_lr(curve), color="C1", linestyle="--", label=f"{suggest_lr(curve):.1e}")
    axes.set(xscale="log", xlabel="learning rate of the head", ylabel="loss", title=title)
    axes.set_ylim(0, 1.5 * curve["smoothed"].median())
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _endless(run: Components, phase: int) -> Iterator[Batch]:
    for epoch in itertools.count(1):
        run.loaders.train.batch_sampler.set_epoch(epoch, phase=phase - 1)
        yield from run.loaders.train


if __name__ == "__main__":
    program.run(main)
