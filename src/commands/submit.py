"""Submit submissions/<slug>.csv to Kaggle, wait for its score -> submissions/history.csv."""

import argparse
from pathlib import Path

from podium.core import paths, program
from podium.kaggle import check, history, submit
from podium.params import schema


def main() -> None:
    """Check the submission and, unless this is a dry run, submit it."""
    options = _options()
    params = schema.load()
    path = options.file or paths.SUBMISSIONS / f"{params.competition.slug}.csv"
    checked = check.check(path, params, history.read(history.PATH))
    message = options.message or checked.message
    print(
        f"{path}: {checked.rows} rows match the sample submission; message: {message}", flush=True
    )
    if options.dry_run:
        return
    row = submit.submit(checked, params.competition, message=message, wait_minutes=options.wait)
    print(submit.summary(row))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--message", help="default: the out-of-fold score and the commit")
    parser.add_argument("--dry-run", action="store_true", help="check only, without any request")
    parser.add_argument("--file", type=Path, help="another CSV with its JSON next to it")
    parser.add_argument(
        "--wait",
        type=float,
        default=20,
        metavar="MINUTES",
        help="maximum wait for the score (default: 20)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main)
