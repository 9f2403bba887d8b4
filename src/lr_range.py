"""Measure a model's loss at growing learning rates -> reports/lr_range/<model>.csv and .png."""

import argparse
from pathlib import Path

from podium import config, files, lr_range, setup, stage
from podium import seed as seeding

SECTIONS = ("seed", "deterministic", "models.{model}", "folds.run")
DATA, REPORTS = Path("data"), Path("reports") / "lr_range"


def main() -> None:
    """Run the test on the first fold of the command line's model, and plot it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--phase", type=int, default=1, help="of the model, from 1 (default: 1)")
    parser.add_argument("--low", type=float, default=1e-6)
    parser.add_argument("--high", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    seed, deterministic, model, run = config.load(*SECTIONS, model=chosen.model)
    seeding.set_deterministic(deterministic)
    made = setup.set_up(model, setup.read_data(DATA), fold=run[0], seed=seed)
    curve = lr_range.run(made, chosen.phase, low=chosen.low, high=chosen.high, steps=chosen.steps)
    path = REPORTS / f"{chosen.model}.png"
    files.write_csv(path.with_suffix(".csv"), curve)
    lr_range.plot(curve, path, title=f"{chosen.model}, phase {chosen.phase}")
    print(
        f"lowest loss at {10 * lr_range.suggest(curve):.1e}; try lr: {lr_range.suggest(curve):.1e}"
    )
    print(f"plot: {path}")


if __name__ == "__main__":
    stage.run(main)
