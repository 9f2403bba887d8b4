"""Time and memory of the stages, for competitions of growing size.

    python benchmarks/growth.py [--largest 100000]

Photos of 64 x 48 and a tiny network, so that `train` and `predict` mostly measure data loading.
Decoded images are not cached, since the cache would grow with the data. A million images are
simulated by tables without images.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import photos, table
from competition import FOLD, MODEL, measure_stage, project

from podium.core import files, machine, manifest
from podium.core.manifest import Manifest
from podium.core.provenance import PredictionProvenance, TrainingProvenance
from podium.prediction import predictions
from podium.prediction.predictions import Predictions

SIZES = (1_000, 10_000, 100_000)
TABLE_ROWS = 1_000_000
STAGES: list[tuple[str, ...]] = [("prepare",), ("folds",), ("train", *FOLD), ("predict", *FOLD),
                                 ("ensemble",), ("submission",)]  # fmt: skip
CLASSES = [f"class{number}" for number in range(10)]


def measure_images(folder: Path, count: int) -> dict[str, str]:
    """Measure each stage with `count` photos."""
    project(folder, photos(count, 64, 48))
    measure_stage(folder, "fetch")
    return {command[0]: _format(*measure_stage(folder, *command)) for command in STAGES}


def measure_tables(folder: Path, count: int) -> dict[str, str]:
    """Measure the stages that read only tables, with `count` rows."""
    project(folder, photos(100, 64, 48))
    measure_stage(folder, "fetch")
    data, rng = folder / "data", np.random.default_rng(0)
    ids = [f"{number:07d}" for number in range(count)]
    train, test = ids[count // 5 :], ids[: count // 5]
    columns = {"id": train, "label": rng.choice(CLASSES, len(train))}
    files.write_csv(data / "train.csv", pd.DataFrame(columns))
    files.write_csv(data / "test.csv", pd.DataFrame({"id": test}))
    sample = pd.DataFrame({"id": test, "label": CLASSES[0]})
    files.write_csv(data / "sample_submission.csv", sample)
    duplicates = pd.DataFrame(columns=["part", "id", "pixels", "set"])
    files.write_csv(data / "duplicates.csv", duplicates)
    names = ("train.csv", "test.csv", "sample_submission.csv", "duplicates.csv")
    images = {"train": "1", "test": "2"}  # placeholders for checksums: there are no images
    facts = {"images_sha256": images, "task": "multiclass", "classes": CLASSES}
    manifest.write(data / "prepared.json", names, duplicates="group", **facts)
    results = {"folds": _format(*measure_stage(folder, "folds"))}
    record = Manifest(data / "folds.json")
    folds = record.csv("folds.csv")
    training = TrainingProvenance(
        task="multiclass",
        classes=CLASSES,
        folds_sha256=record.sha256["folds.csv"],
        images_sha256=images["train"],
        config=MODEL,
        fold=0,
        epochs=None,
        seed=1,
        metric="accuracy",
        metric_sha256=None,
        deterministic=True,
        pretrained_sha256=None,
        pretrained_revision=None,
        scale=[0.0, 1.0],
        torch="none",
        device="none",
        micro_batches=1,
    )
    validation = folds.loc[folds["fold"] == "0", "id"].tolist()
    for name, part, source in (("oof", validation, "train"), ("test", test, "test")):
        logits = rng.normal(size=(len(part), len(CLASSES))).astype(np.float32)
        provenance = PredictionProvenance(
            training=training,
            weights_sha256="",
            predict={},
            images_sha256=images[source],
            averaging="logits",
        )
        predicted = Predictions(part, logits, provenance)
        predictions.write(data / "predictions/a/fold0" / f"{name}.parquet", predicted)
    for stage in ("ensemble", "submission"):
        results[stage] = _format(*measure_stage(folder, stage))
    return results


def _format(seconds: float, memory: float) -> str:
    return f"{seconds:.1f} s, {memory:.0f} MiB"


def main() -> None:
    """Measure competitions of each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="skip larger competitions")
    largest = parser.parse_args().largest
    os.environ[machine.CACHE_VARIABLE] = "0"
    runs = [(measure_images, size, "images") for size in SIZES if size <= largest]
    columns = {}
    for measure, count, unit in [*runs, (measure_tables, TABLE_ROWS, "rows")]:
        with tempfile.TemporaryDirectory() as temporary:
            columns[f"{count:,} {unit}"] = measure(Path(temporary), count)
    rows = [
        (stage, *(results.get(stage, "") for results in columns.values())) for stage, *_ in STAGES
    ]
    table(("stage", *columns), rows)


if __name__ == "__main__":
    main()
