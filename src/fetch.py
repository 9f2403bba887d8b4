"""competition files -> data/raw/ (and data/solution/ where the test labels are known)."""

from pathlib import Path

from podium import config, sources, stage

SECTIONS = ("competition",)
RAW, SOLUTION = Path("data/raw"), Path("data/solution")


def main() -> None:
    """Fetch the competition that params.yaml names."""
    (competition,) = config.load(*SECTIONS)
    fetched = sources.fetch(competition, raw=RAW, solution=SOLUTION)
    print(f"{RAW / competition.slug}.zip", "fetched" if fetched else "is here and intact: kept")


if __name__ == "__main__":
    stage.run(main)
