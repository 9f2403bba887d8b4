"""all members' logits -> data/ensemble/{oof,test}.parquet, metrics/ensemble.json."""

from functools import partial

from podium.config.ensemble import Ensemble
from podium.config.folds import Folds
from podium.core import console, files, params_file, paths, program
from podium.core.errors import counted
from podium.core.manifest import Manifest
from podium.metadata import table as metadata_table
from podium.prediction import predictions
from podium.scoring import metrics, units
from podium.scoring.task import new_class
from podium.submission import contributions, members
from podium.submission.ensemble import combine, summary

SECTIONS = {
    "metric": str | None,
    "folds.run": (Folds, "run"),
    "folds.all": (Folds, "all"),
    "ensemble": Ensemble,
}


def main() -> None:
    """Blend the members that params.yaml lists, and score the blend and each member alone."""
    metric_name, run, trained_on_all, options = params_file.load(SECTIONS)
    prepared, folds_manifest = Manifest(paths.PREPARED), Manifest(paths.FOLDS)
    folds = folds_manifest.csv("folds.csv").astype({"fold": int})
    folds = folds[folds["fold"].isin(run)].reset_index(drop=True)
    test = prepared.csv("test.csv")
    data = members.DataVersion.read(prepared, folds_manifest)
    metric, unknown = metrics.get(metric_name, data.task.name), new_class(prepared)
    loaded = {
        name: members.load(
            paths.PREDICTIONS / name,
            folds,
            test_ids=test["id"].tolist(),
            data=data,
            has_all=name in trained_on_all,
        )
        for name in options.members
    }
    loaded = {
        name: member.of_units(data.task, folds, test, options.aggregate)
        for name, member in loaded.items()
    }
    columns, test_columns = None, None
    if options.stack_metadata:
        columns = units.metadata(folds, metadata_table.read(paths.metadata("train")))
        test_columns = units.metadata(test, metadata_table.read(paths.metadata("test")))
    folds, test_ids = units.table(folds), units.table(test)["id"].tolist()
    blend = partial(combine, folds=folds, test_ids=test_ids, metric=metric, new_class=unknown)
    ensemble = blend(loaded, options=options, metadata=columns, test_metadata=test_columns)
    alone = options.model_copy(update={"method": "mean"})
    per_member = {name: blend({name: one}, options=alone) for name, one in loaded.items()}
    without = contributions.scores_without(
        loaded, folds, options=options, metric=metric, new_class=unknown, metadata=columns
    )
    with files.atomic(paths.ENSEMBLE) as folder:
        predictions.write(folder / "oof.parquet", ensemble.oof)
        predictions.write(folder / "test.parquet", ensemble.test)
        for name, member in per_member.items():
            predictions.write(folder / "members" / f"{name}.parquet", member.test)
            predictions.write(folder / "members_oof" / f"{name}.parquet", member.oof)
        correlations = contributions.error_correlations(loaded, folds, new_class=unknown)
        files.write_json(folder / "error_correlations.json", correlations)
    files.write_json(
        paths.METRICS / "ensemble.json", summary(ensemble, per_member, metric, without)
    )
    print(
        f"{counted(len(loaded), 'member')}, out-of-fold {metric.name} "
        f"{console.score(ensemble.scores['oof'])}"
    )


if __name__ == "__main__":
    program.run(main)
