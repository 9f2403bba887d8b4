"""ensembled logits -> submissions/<slug>.csv, and beside it what it was made of, as JSON."""

from pathlib import Path

from podium import config, files, metrics, predictions, provenance, stage, submissions
from podium.records import Record

SECTIONS = ("metric", "competition.slug", "submission")
DATA, SUBMISSIONS = Path("data"), Path("submissions")


def main() -> None:
    """Write the submission."""
    name, slug, options = config.load(*SECTIONS)
    predicted = predictions.read(DATA / "ensemble" / "test.parquet")
    metric = metrics.get(name, predicted.made_from["task"])
    sample = Record(DATA / "prepared.json").csv("sample_submission.csv")
    path = SUBMISSIONS / f"{slug}.csv"
    files.write_csv(path, submissions.make(sample, predicted, metric=metric, options=options))
    raw = files.read_json(DATA / "raw" / "source.json")
    described = provenance.describe(path, raw=raw, made_from=predicted.made_from)
    files.write_json(path.with_suffix(".json"), described)
    print(f"{path}: {len(sample)} rows")


if __name__ == "__main__":
    stage.run(main)
