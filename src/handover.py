"""Pack what Kaggle asks of prize winners into handover/<slug>.zip."""

import argparse
from pathlib import Path

from podium import config, handover, stage
from podium.entry_points import Handover

SECTIONS = ("competition", "models", "folds.run", "ensemble.members")
FOLDER = Path("handover")


def main() -> None:
    """Check that the submission is of the present state, and pack all that it came from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help=f"default: {FOLDER}/<slug>.zip")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="follow the way to the submission in a copy first: does it come out, how long it took",
    )
    options = parser.parse_args()
    competition, models, run, members = config.load(*SECTIONS)
    output = options.output or FOLDER / f"{competition.slug}.zip"
    made = Handover(competition, {name: models[name] for name in members}, run)
    record = handover.check(made)
    found = handover.contents(made, record)
    if options.measure:
        found = handover.measure(made, record, found, output)
    size = handover.write(output, found)
    print(f"{output}: {size:,} bytes; read its README.md before you hand it over")


if __name__ == "__main__":
    stage.run(main)
