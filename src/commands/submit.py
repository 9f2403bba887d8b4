"""Submit submissions/<slug>.csv to Kaggle, wait for its score -> submissions/history.csv."""

import argparse
from pathlib import Path

from podium.core import program
from podium.core.manifest import Manifest
from podium.kaggle import check, history, submit
from podium.params import schema

DATA, SUBMISSIONS = Path("data"), Path("submissions")


def main() -> None:
    """Check the submission, and hand it in unless only checks are asked for."""
    chosen = _options()
    params = schema.load()
    metric, competition, options = params.metric, params.competition, params.submission
    past = SUBMISSIONS / "history.csv"
    checked = check.check_made(
        chosen.file or SUBMISSIONS / f"{competition.slug}.csv",
        Manifest(DATA / "prepared.json"),
        metric,
        options,
        slug=competition.slug,
        past=history.read(past),
    )
    message = chosen.message or checked.message
    print(f"{checked.path}: {checked.rows} rows that fit the sample; {message}", flush=True)
    if chosen.dry_run:
        return
    row = submit.submit(checked, competition, message=message, minutes=chosen.wait, past=past)
    print(submit.outcome(row))


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
    program.run(main)
