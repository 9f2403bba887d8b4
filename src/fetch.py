"""competition files -> data/raw/, and data/solution/ where the test labels are known."""

from podium.competition import fetch
from podium.config.competition import Competition
from podium.core import params_file, paths, program

SECTIONS = {"competition": Competition}


def main() -> None:
    """Fetch the competition that params.yaml names."""
    (competition,) = params_file.load(SECTIONS)
    is_new = fetch.fetch(competition, raw=paths.RAW, solution=paths.SOLUTION)
    archive = paths.RAW / f"{competition.slug}.zip"
    print(f"{archive} {'fetched' if is_new else 'is unchanged (checksum OK)'}")


if __name__ == "__main__":
    program.run(main)
