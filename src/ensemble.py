"""all members' logits -> data/ensemble/{oof,test}.parquet, metrics/ensemble.json."""

from pathlib import Path

from podium import config, ensembling, files, metrics, predictions, stage
from podium.records import Record

SECTIONS = ("metric", "folds.run", "ensemble")
DATA, METRICS = Path("data"), Path("metrics")


def main() -> None:
    """Blend the members that params.yaml names, and score them."""
    name, run, options = config.load(*SECTIONS)
    record, prepared = Record(DATA / "folds.json"), Record(DATA / "prepared.json")
    folds = record.csv("folds.csv").astype({"fold": int})
    folds = folds[folds["fold"].isin(run)].reset_index(drop=True)
    test_ids = prepared.csv("test.csv")["id"].tolist()
    metric = metrics.get(name, prepared.facts["task"])
    images = prepared.facts["images_sha256"]
    made_from = {
        part: {
            "folds_sha256": record.sha256["folds.csv"],
            "task": record.facts["task"],
            "classes": record.facts["classes"],
            "images_sha256": images["train"],
            "predicted_sha256": images[store],
        }
        for part, store in (("oof", "train"), ("test", "test"))
    }
    members = {
        name: ensembling.load_member(
            DATA / "predictions" / name, folds, test_ids=test_ids, made_from=made_from
        )
        for name in options.members
    }
    oof, test, alone, scores = ensembling.combine(
        members, folds, test_ids=test_ids, options=options, metric=metric
    )
    with files.atomic(DATA / "ensemble") as folder:
        predictions.write(folder / "oof.parquet", oof)
        predictions.write(folder / "test.parquet", test)
        for name, member in alone.items():
            predictions.write(folder / "members" / f"{name}.parquet", member)
    files.write_json(METRICS / "ensemble.json", scores)
    print(f"{len(members)} members, out-of-fold {metric.name} {scores['ensemble']['oof']:.4f}")


if __name__ == "__main__":
    stage.run(main)
