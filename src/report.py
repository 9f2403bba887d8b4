"""scores, submission and out-of-fold predictions -> reports/report.md, reports/oof.csv."""

from pathlib import Path

import pandas as pd

from podium import config, csvs, decisions, files, metrics, predictions, stage, submissions, summary
from podium.decisions import Decision
from podium.forms import Form
from podium.problem import Problem
from podium.records import Record

SECTIONS = ("metric", "competition.slug", "submission")
DATA, SCORES, REPORTS = Path("data"), Path("metrics"), Path("reports")


def main() -> None:
    """Write the report; score models and submission where the test labels are known."""
    name, slug, options = config.load(*SECTIONS)
    path = Path("submissions") / f"{slug}.csv"
    prepared = Record(DATA / "prepared.json")
    problem = Problem(prepared.facts["task"], prepared.json("classes.json"))
    metric = metrics.get(name, problem.task)
    scores = files.read_json(SCORES / "ensemble.json")
    seconds = {
        name: sum(
            files.read_json(SCORES / name / f"fold{k}.json")["seconds"] for k in made["folds"]
        )
        for name, made in scores["members"].items()
    }
    held_back = None
    if (solution := DATA / "solution" / "solution.csv").exists():
        labels = csvs.read(solution)
        sample = prepared.csv("sample_submission.csv")
        members = {name: DATA / "ensemble" / "members" / f"{name}.parquet" for name in seconds}
        made = {
            name: submissions.make(sample, predictions.read(member), metric=metric, options=options)
            for name, member in members.items()
        }
        made["ensemble"] = csvs.read(path)
        form = Form.of(sample, problem, metric, options)
        held_back = {
            name: submissions.score(table, labels, problem, form=form, metric=metric)
            for name, table in made.items()
        }
    oof = predictions.read(DATA / "ensemble" / "oof.parquet")
    actual = Record(DATA / "folds.json").csv("folds.csv").set_index("id")["label"].loc[oof.ids]
    predicted = decisions.texts(problem, oof.logits, Decision.of(oof.made_from))
    table = pd.DataFrame({"id": oof.ids, "actual": actual.tolist(), "predicted": predicted})
    files.write_csv(REPORTS / "oof.csv", summary.confusable(table, problem))
    text = summary.render(
        scores,
        submission=path,
        rows=len(csvs.read(path)),
        seconds=seconds,
        held_back=held_back,
        oof=table,
        problem=problem,
    )
    files.write_text(REPORTS / "report.md", text)


if __name__ == "__main__":
    stage.run(main)
