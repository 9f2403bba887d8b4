"""scores, predictions, images and weights -> reports/report.html."""

from podium.config.competition import Competition
from podium.config.submission import Submission
from podium.core import files, params_file, paths, program
from podium.core.manifest import Manifest
from podium.pages import outcome, report_page
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import solution

SECTIONS = {
    "metric": str | None,
    "competition.slug": (Competition, "slug"),
    "submission": Submission,
}


def main() -> None:
    """Write the report with charts and images."""
    metric_name, slug, options = params_file.load(SECTIONS)
    prepared = Manifest(paths.PREPARED)
    metric = metrics.get(metric_name, Task.read(prepared).name)
    scores = solution.test_scores(
        paths.SUBMISSIONS / f"{slug}.csv", [], prepared=prepared, metric=metric, options=options
    )
    test_score = None if scores is None else scores["ensemble"].score
    report_page.write(outcome.read(metric), slug, test_score=test_score)
    size = len(files.read(paths.REPORTS / "report.html"))
    print(f"{paths.REPORTS / 'report.html'}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    program.run(main)
