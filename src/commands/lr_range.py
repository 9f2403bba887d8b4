"""Measure a model's loss at growing learning rates -> reports/lr_range/<model>.csv and .png."""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from podium.core import console, files, program, seeding
from podium.core.errors import UserError
from podium.images.loading import Batch
from podium.models import inputs, layers
from podium.params import schema
from podium.training import build, optimizers
from podium.training.build import Components

DATA, REPORTS = Path("data"), Path("reports") / "lr_range"
SMOOTHING = 0.9  # of the loss's moving average
FEWEST = 10  # steps
DIVERGED = 3.0  # times the lowest smoothed loss


def main() -> None:
    """Run the test on the first fold of the command line's model, and plot it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--phase", type=int, default=1, help="of the model, from 1 (default: 1)")
    parser.add_argument("--low", type=float, default=1e-6)
    parser.add_argument("--high", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    params = schema.load()
    model = params.model(chosen.model)
    seeding.set_deterministic(params.deterministic)
    made = build.build(model, build.read_data(DATA), fold=params.folds.run[0], seed=params.seed)
    curve = run(made, chosen.phase, low=chosen.low, high=chosen.high, steps=chosen.steps)
    path = REPORTS / f"{chosen.model}.png"
    files.write_csv(path.with_suffix(".csv"), curve)
    plot(curve, path, title=f"{chosen.model}, phase {chosen.phase}")
    print(f"lowest loss at {10 * suggest(curve):.1e}; try lr: {suggest(curve):.1e}")
    print(f"plot: {path}")


def run(run: Components, phase: int, *, low: float, high: float, steps: int) -> pd.DataFrame:
    """Train one model for `steps` at rates from `low` to `high` in equal ratios, or until the loss
    is three times its lowest. `phase` (from 1) says what trains, and how; its rates keep their
    ratios. The weights are those that a training begins with.

    Returns:
        A row a step: lr (the head's), loss, smoothed.

    Raises:
        UserError: if there is no such phase, or the loss diverged at once.

    Source: https://arxiv.org/abs/1506.01186
    """
    config, device = run.config, run.accelerator.device
    if not 1 <= phase <= len(config.phases):
        raise UserError(f"there is no phase {phase}: the model has {len(config.phases)}")
    if not (steps >= FEWEST and 0 < low < high):
        raise UserError(f"give {FEWEST} steps or more, and rates from low to high")
    chosen = config.phases[phase - 1]
    layers.set_trainable(run.net, chosen.trainable)
    model = run.accelerator.prepare(run.net)
    optimizer = run.accelerator.prepare(optimizers.create(run.net, chosen, config))
    layers.set_training(run.net, chosen.batch_norm)
    rows: list[tuple[float, float, float]] = []
    average, lowest = 0.0, float("inf")
    seed = run.loaders.train.batch_sampler.seed
    batches = itertools.islice(_endless(run, phase), steps)
    for step, batch in enumerate(console.bar(batches, "range test", total=steps)):
        seeding.set_global(seed, "step", step + 1)
        lr = low * (high / low) ** (step / max(1, steps - 1))
        optimizers.set_factor(optimizer, lr / chosen.lr)
        ready, targets = run.mixer(run.preprocess(batch.inputs), batch.targets.to(device))
        with run.accelerator.autocast():
            loss = run.criterion(inputs.forward(model, ready), targets)
        run.accelerator.backward(loss)
        if config.grad_clip_norm is not None:
            run.accelerator.clip_grad_norm_(run.net.parameters(), config.grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        average = SMOOTHING * average + (1 - SMOOTHING) * loss.item()
        smoothed = average / (1 - SMOOTHING ** (step + 1))
        rows.append((lr, loss.item(), smoothed))
        lowest = min(lowest, smoothed)
        if not smoothed <= DIVERGED * lowest:  # also where it is no number
            break
    if len(rows) < FEWEST:
        raise UserError(f"the loss diverged after {len(rows)} steps: begin below {low:g}")
    return pd.DataFrame(rows, columns=["lr", "loss", "smoothed"])


def suggest(curve: pd.DataFrame) -> float:
    """A peak rate: a tenth of the one at which the smoothed loss is lowest."""
    return float(curve["lr"].to_numpy()[curve["smoothed"].to_numpy().argmin()]) / 10


def plot(curve: pd.DataFrame, path: Path, *, title: str) -> None:
    """Draw the loss over the rate, with the suggestion, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(curve["lr"], curve["loss"], color="0.8", label="loss of a step")
    axes.plot(curve["lr"], curve["smoothed"], label="smoothed")
    axes.axvline(suggest(curve), color="C1", linestyle="--", label=f"{suggest(curve):.1e}")
    axes.set(xscale="log", xlabel="learning rate of the head", ylabel="loss", title=title)
    axes.set_ylim(0, 1.5 * curve["smoothed"].median())
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _endless(run: Components, phase: int) -> Iterator[Batch]:
    sampler = run.loaders.train.batch_sampler
    for epoch in itertools.count(1):
        sampler.set_epoch(epoch, phase=phase - 1)
        yield from run.loaders.train


if __name__ == "__main__":
    program.run(main)
