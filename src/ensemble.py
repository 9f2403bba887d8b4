"""all members' logits -> data/ensemble/{oof,test}.parquet, metrics/ensemble.json."""

from podium.config.ensemble import Ensemble
from podium.config.folds import Folds
from podium.core import files, params_file, paths, program
from podium.core.manifest import Manifest
from podium.prediction import predictions
from podium.scoring import metrics
from podium.submission import ensemble

SECTIONS = {"metric": str | None, "folds.run": (Folds, "run"), "ensemble": Ensemble}


def main() -> None:
    """Blend the members that params.yaml names, and score them."""
    metric, run, options = params_file.load(SECTIONS)
    prepared, folds_manifest = Manifest(paths.PREPARED), Manifest(paths.FOLDS)
    folds = folds_manifest.csv("folds.csv").astype({"fold": int})
    folds = folds[folds["fold"].isin(run)].reset_index(drop=True)
    test_ids = prepared.csv("test.csv")["id"].tolist()
    data = ensemble.Data.read(prepared, folds_manifest)
    metric = metrics.get(metric, data.task.name)
    members = {
        name: ensemble.load_member(paths.PREDICTIONS / name, folds, test_ids=test_ids, data=data)
        for name in options.members
    }
    oof, test, per_member, scores = ensemble.combine(
        members, folds, test_ids=test_ids, options=options, metric=metric
    )
    with files.atomic(paths.ENSEMBLE) as folder:
        predictions.write(folder / "oof.parquet", oof)
        predictions.write(folder / "test.parquet", test)
        for name, member in per_member.items():
            predictions.write(folder / "members" / f"{name}.parquet", member)
    files.write_json(paths.METRICS / "ensemble.json", scores)
    print(f"{len(members)} members, out-of-fold {metric.name} {scores['ensemble']['oof']:.4f}")


if __name__ == "__main__":
    program.run(main)
