"""data/train.csv -> data/folds.csv."""

from podium.config.folds import Folds
from podium.core import files, manifest, params_file, paths, program
from podium.core.manifest import Manifest
from podium.dataset import splitting
from podium.scoring.task import Task

SECTIONS = {"seed": int, "folds.count": (Folds, "count"), "folds.subsample": (Folds, "subsample")}


def main() -> None:
    """Split the training images into stratified folds."""
    seed, count, subsample = params_file.load(SECTIONS)
    prepared = Manifest(paths.PREPARED)
    task = Task.read(prepared)
    folds = splitting.make_folds(
        prepared.csv("train.csv"), task, count=count, seed=seed, subsample=subsample
    )
    files.write_csv(paths.DATA / "folds.csv", folds)
    manifest.write(paths.FOLDS, ["folds.csv"], **task.facts())
    if subsample:
        print(f"{(folds['train'] == 'no').sum()} images are for validation only (folds.subsample)")
    print(folds.groupby("fold").size().rename("images").to_frame().T.to_string())


if __name__ == "__main__":
    program.run(main)
