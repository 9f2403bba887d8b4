"""data/train.csv -> data/folds.csv."""

from pathlib import Path

from podium import config, csvs, errors, files, splitting

SECTIONS = ("seed", "folds.count", "folds.keep")
DATA = Path("data")


def main() -> None:
    """Split the training images into stratified folds."""
    seed, count, keep = config.load(*SECTIONS)
    folds = splitting.make_folds(csvs.read(DATA / "train.csv"), count=count, seed=seed, keep=keep)
    files.write_csv(DATA / "folds.csv", folds)
    if keep:
        print(f"{(folds['train'] == 'no').sum()} images are for validation only (folds.keep)")
    print(folds.groupby("fold").size().rename("images").to_frame().T.to_string())


if __name__ == "__main__":
    errors.run(main)
