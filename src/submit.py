"""Submit submissions/<slug>.csv to Kaggle, wait for its score -> submissions/history.csv."""

import argparse
from pathlib import Path

from podium import config, history, metrics, stage, submittable, submitting
from podium.forms import Form
from podium.problem import Problem
from podium.records import Record

SECTIONS = ("metric", "competition", "submission")
DATA, SUBMISSIONS = Path("data"), Path("submissions")


def main() -> None:
    """Check the submission, and hand it in unless only checks are asked for."""
    chosen = _options()
    name, competition, options = config.load(*SECTIONS)
    prepared = Record(DATA / "prepared.json")
    problem = Problem(prepared.facts["task"], prepared.json("classes.json"))
    sample = prepared.csv("sample_submission.csv")
    form = Form.of(sample, problem, metrics.get(name, problem.task), options)
    past = SUBMISSIONS / "history.csv"
    checked = submittable.check(
        chosen.file or SUBMISSIONS / f"{competition.slug}.csv",
        sample,
        slug=competition.slug,
        past=history.read(past),
        may_be_empty=form.name == "labels",
    )
    message = chosen.message or checked.message
    print(f"{checked.path}: {checked.rows} rows that fit the sample; {message}", flush=True)
    if chosen.dry_run:
        return
    row = submitting.submit(checked, competition, message=message, minutes=chosen.wait, past=past)
    score = row["public"] or "no score yet: `make history` asks again"
    print(f"{row['status']}, ref {row['ref']}: {score}; out of fold {checked.oof:.5f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--message", help="default: the out-of-fold score and the commit")
    parser.add_argument("--dry-run", action="store_true", help="check only; ask Kaggle nothing")
    parser.add_argument("--file", type=Path, help="another CSV with its JSON beside it")
    parser.add_argument(
        "--wait", type=float, default=20, metavar="MINUTES", help="for the score (default: 20)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    stage.run(main)
