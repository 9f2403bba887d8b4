"""blended logits -> submissions/<slug>.csv, submissions/<slug>.json (provenance)."""

from podium.config.competition import Competition
from podium.config.submission import Submission
from podium.core import files, params_file, paths, program
from podium.core.errors import counted
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
from podium.dataset.submission_file import SubmissionFile
from podium.prediction import predictions
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import provenance, write

SECTIONS = {
    "metric": str | None,
    "competition.slug": (Competition, "slug"),
    "submission": Submission,
}


def main() -> None:
    """Write the submission and its provenance."""
    metric_name, slug, options = params_file.load(SECTIONS)
    predicted = predictions.read(paths.ENSEMBLE / "test.parquet", EnsembleProvenance)
    task = Task.of(predicted.provenance)
    prepared = Manifest(paths.PREPARED)
    sample = prepared.csv("sample_submission.csv")
    file = SubmissionFile.read(prepared)
    if prepared.facts["hidden_test"]:
        print("nothing is predicted here (prepare.hidden_test): this is the sample submission")
        submission = sample
    else:
        predictions_by_id = write.fill(
            file.wide(sample, task.submitted_names),
            *file.select(*predicted.table),
            task=task,
            rule=DecisionRule.of(predicted.provenance.decision),
            metric=metrics.get(metric_name, task.name),
            options=options,
            value_range=write.value_range(options, prepared),
        )
        submission = file.fill(sample, predictions_by_id)
    path = paths.SUBMISSIONS / f"{slug}.csv"
    files.write_csv(path, submission)
    raw = files.read_json(paths.RAW / "source.json")
    files.write_json(
        path.with_suffix(".json"),
        provenance.describe(path, raw=raw, ensemble=predicted.provenance),
    )
    print(f"{path}: {counted(len(sample), 'row')}")


if __name__ == "__main__":
    program.run(main)
