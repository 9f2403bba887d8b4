"""data/train.csv -> data/folds.csv."""

from pathlib import Path

from podium import config, csvs, errors, files, splitting

SECTIONS = ("seed", "folds.count")
DATA = Path("data")


def main() -> None:
    """Split the training images into stratified folds."""
    seed, count = config.load(*SECTIONS)
    folds = splitting.make_folds(csvs.read(DATA / "train.csv"), count=count, seed=seed)
    files.write_csv(DATA / "folds.csv", folds)
    print(folds.groupby("fold").size().rename("images").to_frame().T.to_string())


if __name__ == "__main__":
    errors.run(main)
