"""Pack what Kaggle requires of prize winners into handover/<slug>.zip."""

import argparse
from pathlib import Path

from podium.core import program
from podium.kaggle import up_to_date, zip_writer
from podium.kaggle.handover import pack
from podium.params import schema

FOLDER = Path("handover")


def main() -> None:
    """Check that the submission is up to date, then pack code, weights and documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help=f"default: {FOLDER}/<slug>.zip")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="reproduce the submission in a copy first, and document how long each command took",
    )
    options = parser.parse_args()
    params = schema.load()
    up_to_date.check(params)
    output = options.output or FOLDER / f"{params.competition.slug}.zip"
    seconds = pack.measure(params, output) if options.measure else None
    zip_writer.write(output, pack.contents(params, seconds))
    print(f"{output}: {output.stat().st_size:,} bytes. Read its README.md before you send it.")


if __name__ == "__main__":
    program.run(main)
