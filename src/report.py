"""scores, submission and out-of-fold predictions -> reports/report.md, reports/oof.csv."""

from pathlib import Path

import pandas as pd

from podium import config, csvs, files, predictions, stage, submissions, summary
from podium.records import Record

SECTIONS = ("metric", "competition.slug")
DATA, METRICS, REPORTS = Path("data"), Path("metrics"), Path("reports")


def main() -> None:
    """Write the report; score models and submission where the test labels are known."""
    metric, slug = config.load(*SECTIONS)
    path = Path("submissions") / f"{slug}.csv"
    prepared = Record(DATA / "prepared.json")
    classes = prepared.json("classes.json")
    scores = files.read_json(METRICS / "ensemble.json")
    seconds = {
        name: sum(
            files.read_json(METRICS / name / f"fold{k}.json")["seconds"] for k in made["folds"]
        )
        for name, made in scores["members"].items()
    }
    held_back = None
    if (solution := DATA / "solution" / "solution.csv").exists():
        labels = csvs.read(solution)
        sample = prepared.csv("sample_submission.csv")
        members = {name: DATA / "ensemble" / "members" / f"{name}.parquet" for name in seconds}
        made = {
            name: submissions.make(sample, predictions.read(member), metric=metric)
            for name, member in members.items()
        }
        made["ensemble"] = csvs.read(path)
        held_back = {
            name: submissions.score(table, labels, classes, metric=metric)
            for name, table in made.items()
        }
    oof = predictions.read(DATA / "ensemble" / "oof.parquet")
    actual = Record(DATA / "folds.json").csv("folds.csv").set_index("id")["label"].loc[oof.ids]
    predicted = [classes[number] for number in oof.logits.argmax(axis=1)]
    table = pd.DataFrame({"id": oof.ids, "actual": actual.tolist(), "predicted": predicted})
    files.write_csv(REPORTS / "oof.csv", table)
    text = summary.render(
        scores,
        submission=path,
        rows=len(csvs.read(path)),
        seconds=seconds,
        held_back=held_back,
        oof=table,
        classes=classes,
    )
    files.write_text(REPORTS / "report.md", text)


if __name__ == "__main__":
    stage.run(main)
