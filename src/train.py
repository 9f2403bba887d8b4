"""Train one model on one fold -> models/<model>/fold<k>/ and metrics/<model>/fold<k>.json."""

import argparse
from typing import Any

from podium.config.models import Model
from podium.core import files, machine, params_file, paths, program, seeding
from podium.core.section import Positive
from podium.models import weights
from podium.prediction import pseudo
from podium.scoring import metrics
from podium.training import build, processes, reporting
from podium.training.epochs import per_phase
from podium.training.fold import train_fold
from podium.training.followers import checkpoints_of

SECTIONS = {
    "seed": int,
    "deterministic": bool,
    "metric": str | None,
    "models.{model}": Model,
}
# Read, but not declared in dvc.yaml: they do not affect the result.
UNDECLARED = {"checkpoint.every_minutes": Positive, **reporting.SECTIONS}


def main() -> None:
    """Train the model and fold given on the command line, or resume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--fold", type=int, required=True)
    options = parser.parse_args()
    seed, deterministic, metric_name, config = params_file.load(SECTIONS, model=options.model)
    every_minutes, *reported = params_file.load(UNDECLARED)
    every_minutes = machine.checkpoint_minutes(every_minutes)
    seeding.set_deterministic(deterministic)
    data = pseudo.extend(
        build.read_data(paths.DATA),
        config.pseudo_labels,
        fold=options.fold,
        test=paths.IMAGES / "test",
        metadata=paths.metadata("test"),
    )
    metric = metrics.get(metric_name, data.task.name)
    name = paths.fold_name(options.model, options.fold)
    with (
        processes.joined(config.shards) as together,
        checkpoints_of(together)(paths.CHECKPOINTS / name, every_minutes=every_minutes) as saved,
        reporting.opened(
            together,
            options.model,
            options.fold,
            reporting.Settings(*reported),
            seed=seed,
        ) as reporter,
    ):
        together.wait()  # until the first process has the lock
        trained = train_fold(
            config,
            data,
            fold=options.fold,
            seed=config.seed_or(seed),
            metric=metric,
            checkpoints=saved,
            reporter=reporter,
        )
        if together.is_first:
            best = trained.best
            weights.save(
                paths.weights(options.model, options.fold), best.weights, trained.provenance
            )
            files.write_csv(paths.MODELS / name / "curves.csv", trained.table)
            scores: dict[str, Any] = {
                "epoch": best.epoch.epoch,
                "epochs": per_phase(trained.curves, best.epoch.epoch),
                metric.name: best.epoch.score,
                "valid_loss": best.epoch.valid_loss,
                "seconds": trained.seconds,
            }
            if best.averaged:
                scores["averaged_epochs"] = best.averaged
            files.write_json(paths.metrics(options.model, options.fold), scores)


if __name__ == "__main__":
    program.run(main)
