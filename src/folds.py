"""data/train.csv -> data/folds.csv."""

from pathlib import Path

from podium import config, files, records, splitting, stage
from podium.problem import Problem
from podium.records import Record

SECTIONS = ("seed", "folds.count", "folds.keep")
DATA = Path("data")


def main() -> None:
    """Split the training images into stratified folds."""
    seed, count, keep = config.load(*SECTIONS)
    prepared = Record(DATA / "prepared.json")
    train = prepared.csv("train.csv")
    problem = Problem(prepared.facts["task"], prepared.json("classes.json"))
    folds = splitting.make_folds(train, problem, count=count, seed=seed, keep=keep)
    files.write_csv(DATA / "folds.csv", folds)
    records.write(DATA / "folds.json", ["folds.csv"], **problem._asdict())
    if keep:
        print(f"{(folds['train'] == 'no').sum()} images are for validation only (folds.keep)")
    print(folds.groupby("fold").size().rename("images").to_frame().T.to_string())


if __name__ == "__main__":
    stage.run(main)
