"""scores, submission and out-of-fold predictions -> reports/report.md, reports/oof.csv."""

from typing import Any

import pandas as pd

from podium.config.competition import Competition
from podium.config.submission import Submission
from podium.core import csvs, files, params_file, paths, program
from podium.core.manifest import Manifest
from podium.core.paths import Fold
from podium.core.provenance import EnsembleProvenance
from podium.prediction import predictions
from podium.scoring import metrics, units
from podium.scoring.task import Task
from podium.submission import report, solution

SECTIONS = {
    "metric": str | None,
    "competition.slug": (Competition, "slug"),
    "submission": Submission,
}


def main() -> None:
    """Write the report; score the submission and each model where the test labels are known."""
    metric_name, slug, options = params_file.load(SECTIONS)
    path = paths.SUBMISSIONS / f"{slug}.csv"
    prepared = Manifest(paths.PREPARED)
    task = Task.submitted(prepared)
    scores = files.read_json(paths.METRICS / "ensemble.json")
    known = solution.test_scores(
        path,
        list(scores["members"]),
        prepared=prepared,
        metric=metrics.get(metric_name, task.name),
        options=options,
    )
    for target, score in (known["ensemble"].targets or {} if known else {}).items():
        scores["ensemble"]["targets"][target]["test"] = score
    predicted = predictions.read(paths.ENSEMBLE / "oof.parquet", EnsembleProvenance)
    images = Manifest(paths.FOLDS).csv("folds.csv")
    folds = units.table(images)
    labels = folds.set_index("id")["label"].loc[predicted.ids]
    oof = pd.DataFrame(
        {"id": predicted.ids, "actual": labels.to_list(), "predicted": predicted.labels}
    )
    files.write_csv(paths.REPORTS / "oof.csv", report.confusion_rows(oof, task))
    text = report.render(
        scores,
        submission=path,
        rows=len(csvs.read(path)),
        seconds={name: _seconds(name, member) for name, member in scores["members"].items()},
        test_scores=None if known is None else {name: one.score for name, one in known.items()},
        oof=report.OofTable(oof, task, "image" if len(folds) == len(images) else "id"),
        correlations=files.read_json(paths.ENSEMBLE / "error_correlations.json"),
    )
    files.write_text(paths.REPORTS / "report.md", text)


def _seconds(model: str, scores: dict[str, Any]) -> float:
    """How long a model's folds trained, in total."""
    folds: list[Fold] = [*scores["folds"]]
    if scores["all_folds"]:
        folds.append("all")
    records = [files.read_json(paths.metrics(model, fold)) for fold in folds]
    return float(sum(record["seconds"] for record in records))


if __name__ == "__main__":
    program.run(main)
