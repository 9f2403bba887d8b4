"""scores, submission and out-of-fold predictions -> reports/report.md, reports/oof.csv."""

import pandas as pd

from podium.config.competition import Competition
from podium.config.submission import Submission
from podium.core import csvs, files, params_file, paths, program
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
from podium.prediction import predictions
from podium.scoring import decisions, metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import report, write
from podium.submission.formats import SubmissionFormat

SECTIONS = {
    "metric": str | None,
    "competition.slug": (Competition, "slug"),
    "submission": Submission,
}


def main() -> None:
    """Write the report; score models and submission where the test labels are known."""
    name, slug, options = params_file.load(SECTIONS)
    path = paths.SUBMISSIONS / f"{slug}.csv"
    prepared = Manifest(paths.PREPARED)
    task = Task.read(prepared)
    metric = metrics.get(name, task.name)
    scores = files.read_json(paths.METRICS / "ensemble.json")
    seconds = {
        name: sum(
            files.read_json(paths.METRICS / f"{paths.fold_name(name, k)}.json")["seconds"]
            for k in member["folds"]
        )
        for name, member in scores["members"].items()
    }
    test_scores = None
    if (solution := paths.SOLUTION / "solution.csv").exists():
        labels = csvs.read(solution)
        sample = prepared.csv("sample_submission.csv")
        submissions = {"ensemble": csvs.read(path)}
        for name in seconds:
            member = predictions.read(
                paths.ENSEMBLE / "members" / f"{name}.parquet", EnsembleProvenance
            )
            submissions[name] = write.make_submission(
                sample, member, metric=metric, options=options
            )
        form = SubmissionFormat.detect(sample, task, metric, options)
        test_scores = {
            name: write.score(table, labels, task, form=form, metric=metric)
            for name, table in submissions.items()
        }
    oof = predictions.read(paths.ENSEMBLE / "oof.parquet", EnsembleProvenance)
    actual = Manifest(paths.FOLDS).csv("folds.csv").set_index("id")["label"].loc[oof.ids]
    predicted = decisions.label_texts(task, oof.logits, DecisionRule(**oof.provenance.decision))
    table = pd.DataFrame({"id": oof.ids, "actual": actual.tolist(), "predicted": predicted})
    files.write_csv(paths.REPORTS / "oof.csv", report.confusable(table, task))
    text = report.render(
        scores,
        submission=path,
        rows=len(csvs.read(path)),
        seconds=seconds,
        held_back=test_scores,
        oof=table,
        task=task,
    )
    files.write_text(paths.REPORTS / "report.md", text)


if __name__ == "__main__":
    program.run(main)
