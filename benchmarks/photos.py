"""Lay out a set of photos in class folders as a competition: data/<name>.zip and its solution.

    python benchmarks/photos.py ants-bees --train hymenoptera_data/train --test hymenoptera_data/val
    python benchmarks/photos.py weather --train dataset --test-fraction 0.35

`--train` and `--test` contain one folder per class. The archive has train.csv, test.csv and the
images in train/ and test/; ids are file names. data/<name>-solution.csv has the labels
of the test photos, so that the report can score the submission.
"""

import argparse
import csv
import io
import random
import zipfile
from pathlib import Path

SUFFIXES = {".jpg", ".jpeg", ".png"}
Photos = list[tuple[Path, str]]


def photos(folder: Path) -> Photos:
    """List the images in the class folders of `folder`, sorted, each with its class."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"error: no images in {folder}/<class>/")
    return [(path, path.parent.name) for path in paths]


def split(labeled: Photos, fraction: float, seed: int) -> tuple[Photos, Photos]:
    """Split the photos at random into a training set and a test set with `fraction` of them."""
    test = {*random.Random(seed).sample(range(len(labeled)), round(fraction * len(labeled)))}
    numbered = list(enumerate(labeled))
    return [p for n, p in numbered if n not in test], [p for n, p in numbered if n in test]


def table(rows: list[tuple[str, ...]]) -> str:
    """Format rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def lay_out(name: str, train: Photos, test: Photos, target: Path) -> None:
    """Write `target`/<name>.zip and `target`/<name>-solution.csv."""
    target.mkdir(parents=True, exist_ok=True)
    labels = [("id", "label"), *((path.stem, label) for path, label in train)]
    solution = [("id", "label"), *((path.stem, label) for path, label in test)]
    with zipfile.ZipFile(target / f"{name}.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("train.csv", table(labels))
        archive.writestr("test.csv", table([(image,) for image, _ in solution]))
        archive.writestr(
            "sample_submission.csv",
            table([solution[0], *((image, train[0][1]) for image, _ in solution[1:])]),
        )
        for folder, part in (("train", train), ("test", test)):
            for path, _ in part:
                archive.write(path, f"{folder}/{path.name}")
    (target / f"{name}-solution.csv").write_text(table(solution), encoding="utf-8")
    print(f"{target / name}.zip: {len(train)} training and {len(test)} test photos")


def main() -> None:
    """Lay out the photos given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--test-fraction", type=float, default=0.35, help="used without --test")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random split")
    options = parser.parse_args()
    train = photos(options.train)
    if options.test is None:
        train, test = split(train, options.test_fraction, options.seed)
    else:
        test = photos(options.test)
    lay_out(options.name, train, test, Path("data"))


if __name__ == "__main__":
    main()
