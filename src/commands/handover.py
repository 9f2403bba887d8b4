"""Pack what Kaggle asks of prize winners into handover/<slug>.zip."""

import argparse
from pathlib import Path

from podium.core import program
from podium.kaggle.handover import pack
from podium.kaggle.handover.commands import Handover
from podium.params import schema

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
    params = schema.load()
    competition = params.competition
    output = options.output or FOLDER / f"{competition.slug}.zip"
    made = Handover(
        competition,
        {name: params.models[name] for name in params.ensemble.members},
        params.folds.run,
    )
    record = pack.check(made)
    found = pack.contents(made, record)
    if options.measure:
        found = pack.measure(made, record, found, output)
    size = pack.write(output, found)
    print(f"{output}: {size:,} bytes; read its README.md before you hand it over")


if __name__ == "__main__":
    program.run(main)
