"""data/train.csv -> data/folds.csv."""

from functools import partial

from podium.config.folds import Folds
from podium.core import files, manifest, params_file, paths, program
from podium.core.manifest import Manifest
from podium.dataset import duplicates, splitting
from podium.scoring.task import Task, new_class

SECTIONS = {
    "seed": int,
    "folds.count": (Folds, "count"),
    "folds.subsample": (Folds, "subsample"),
}


def main() -> None:
    """Split the training images into stratified folds."""
    seed, count, subsample = params_file.load(SECTIONS)
    prepared = Manifest(paths.PREPARED)
    task, train = Task.read(prepared), prepared.csv("train.csv")
    same, how = prepared.csv("duplicates.csv"), prepared.facts["duplicates"]
    split = partial(splitting.make_folds, train, task, count=count, seed=seed, subsample=subsample)
    folds = split()
    crossing = duplicates.crossing(folds, same)
    if how != "keep" and len(same):
        folds = split(duplicates=same)
    files.write_csv(paths.DATA / "folds.csv", folds)
    facts = {**task.facts(), "new_class": new_class(prepared)}
    manifest.write(paths.FOLDS, ["folds.csv"], **facts)
    for warning in splitting.rare_classes(train, task, count):
        print(f"warning: {warning}")
    for line in duplicates.describe(folds, same, crossing=crossing, how=how):
        print(line)
    if subsample:
        print(f"{(folds['train'] == 'no').sum()} images are for validation only (folds.subsample)")
    print(folds.groupby("fold").size().rename("images").to_frame().T.to_string())


if __name__ == "__main__":
    program.run(main)
