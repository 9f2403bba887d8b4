"""all members' logits -> data/ensemble/{oof,test}.parquet, metrics/ensemble.json."""

from pathlib import Path

from podium import config, csvs, ensembling, errors, files, predictions

SECTIONS = ("metric", "folds.run", "ensemble")
DATA, METRICS = Path("data"), Path("metrics")


def main() -> None:
    """Blend the members that params.yaml names, and score them."""
    metric, run, options = config.load(*SECTIONS)
    folds = csvs.read(DATA / "folds.csv").astype({"fold": int})
    folds = folds[folds["fold"].isin(run)].reset_index(drop=True)
    test_ids = csvs.read(DATA / "test.csv")["id"].tolist()
    sha256 = files.sha256(DATA / "folds.csv")
    members = {
        name: ensembling.load_member(
            DATA / "predictions" / name, folds, test_ids=test_ids, folds_sha256=sha256
        )
        for name in options.members
    }
    oof, test, scores = ensembling.combine(
        members, folds, test_ids=test_ids, options=options, metric=metric
    )
    with files.atomic(DATA / "ensemble") as folder:
        predictions.write(folder / "oof.parquet", oof)
        predictions.write(folder / "test.parquet", test)
        for name, member in members.items():
            predictions.write(folder / "members" / f"{name}.parquet", member.predictions(test_ids))
    files.write_json(METRICS / "ensemble.json", scores)
    print(f"{len(members)} members, out-of-fold {metric} {scores['ensemble']['oof']:.4f}")


if __name__ == "__main__":
    errors.run(main)
