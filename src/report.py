"""scores and submission -> reports/report.md."""

from pathlib import Path

from podium import config, csvs, errors, files, submissions, summary

SECTIONS = ("metric", "competition.slug")
DATA, METRICS, REPORTS = Path("data"), Path("metrics"), Path("reports")


def main() -> None:
    """Write the report; score the submission where the test labels are known."""
    metric, slug = config.load(*SECTIONS)
    path = Path("submissions") / f"{slug}.csv"
    submission = csvs.read(path)
    classes = files.read_json(DATA / "classes.json")
    solution = DATA / "solution" / "solution.csv"
    held_back = None
    if solution.exists():
        held_back = submissions.score(submission, csvs.read(solution), classes, metric=metric)
    scores = files.read_json(METRICS / "ensemble.json")
    text = summary.render(scores, submission=path, rows=len(submission), held_back=held_back)
    files.write_text(REPORTS / "report.md", text)


if __name__ == "__main__":
    errors.run(main)
