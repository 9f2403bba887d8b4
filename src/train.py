"""one model, one fold -> models/<model>/fold<k>/ and metrics/<model>/fold<k>.json."""

import argparse
import dataclasses
from pathlib import Path

import pandas as pd

from podium import config, files, metrics, setup, stage, training, weights
from podium import seed as seeding
from podium.checkpoints import Checkpoints

SECTIONS = ("seed", "deterministic", "metric", "checkpoint.every_minutes", "models.{model}")
DATA, MODELS, SCORES = Path("data"), Path("models"), Path("metrics")
CHECKPOINTS = Path(".checkpoints")


def main() -> None:
    """Train the model and fold of the command line, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--fold", type=int, required=True)
    chosen = parser.parse_args()
    seed, deterministic, metric, minutes, model = config.load(*SECTIONS, model=chosen.model)
    seeding.set_deterministic(deterministic)
    data = setup.read_data(DATA)
    metric = metrics.get(metric, data.problem.task)
    name = f"{chosen.model}/fold{chosen.fold}"
    with Checkpoints(CHECKPOINTS / name, every_minutes=minutes) as checkpoints:
        best, curves, made_from = training.train_fold(
            model,
            data,
            fold=chosen.fold,
            seed=seed,
            metric=metric,
            checkpoints=checkpoints,
        )
        made_from["model"] = chosen.model
        weights.save(MODELS / name / "weights.safetensors", best.state, made_from)
        files.write_csv(MODELS / name / "curves.csv", pd.DataFrame(map(dataclasses.asdict, curves)))
        scores = {
            "epoch": best.epoch.epoch,
            metric.name: best.epoch.score,
            "valid_loss": best.epoch.valid_loss,
            "seconds": round(sum(epoch.seconds for epoch in curves), 1),
        }
        files.write_json(SCORES / f"{name}.json", scores)


if __name__ == "__main__":
    stage.run(main)
