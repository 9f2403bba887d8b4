"""Train one model on all folds -> models/<model>/all/ and metrics/<model>-all.json."""

import argparse

from podium.config.folds import Folds
from podium.config.models import Model
from podium.core import files, machine, params_file, paths, program, seeding
from podium.core.section import Positive
from podium.models import weights
from podium.scoring import metrics
from podium.training import build, processes, reporting
from podium.training.epochs import suggested
from podium.training.fold import train_fold
from podium.training.followers import checkpoints_of

SECTIONS = {
    "seed": int,
    "deterministic": bool,
    "metric": str | None,
    "folds.run": (Folds, "run"),
    "models.{model}": Model,
}
# Read, but not declared in dvc.yaml: they do not affect the result.
UNDECLARED = {"checkpoint.every_minutes": Positive, **reporting.SECTIONS}


def main() -> None:
    """Train for as many epochs as the folds suggest, without a held-out fold; or resume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    name = parser.parse_args().model
    seed, deterministic, metric_name, run, config = params_file.load(SECTIONS, model=name)
    every_minutes, *reported = params_file.load(UNDECLARED)
    every_minutes = machine.checkpoint_minutes(every_minutes)
    seeding.set_deterministic(deterministic)
    data = build.read_data(paths.DATA)
    epochs = suggested([files.read_json(paths.metrics(name, fold))["epochs"] for fold in run])
    folder = paths.fold_name(name, "all")
    with (
        processes.joined(config.shards) as together,
        checkpoints_of(together)(paths.CHECKPOINTS / folder, every_minutes=every_minutes) as saved,
        reporting.opened(
            together,
            name,
            "all",
            reporting.Settings(*reported),
            seed=seed,
        ) as reporter,
    ):
        together.wait()  # until the first process has the lock
        trained = train_fold(
            config,
            data,
            fold="all",
            epochs=epochs,
            seed=config.seed_or(seed),
            metric=metrics.get(metric_name, data.task.name),
            checkpoints=saved,
            reporter=reporter,
        )
        if together.is_first:
            last = trained.best
            weights.save(paths.weights(name, "all"), last.weights, trained.provenance)
            files.write_csv(paths.MODELS / folder / "curves.csv", trained.table)
            record = {
                "epoch": last.epoch.epoch,
                "train_loss": last.epoch.train_loss,
                "seconds": trained.seconds,
            }
            files.write_json(paths.metrics(name, "all"), record)


if __name__ == "__main__":
    program.run(main)
