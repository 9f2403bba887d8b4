"""Time and memory of the stages with twelve images per id: separate, and stacked as channels.

    python benchmarks/images_per_id.py [--largest 2000]

Photos of 64 x 48 and a tiny network, as in growth.py, without cached images.
"""

import argparse
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
from common import photos, table
from competition import FOLD, measure_stage, project

from podium.core import machine

SIZES = (400, 2_000)  # ids
PARTS = [f"s{site}_w{number}" for site in (1, 2) for number in range(1, 7)]
SEPARATE: dict[str, Any] = {"images": "{id}_*", "duplicates": "keep"}
STACKED = {**SEPARATE, "stack": PARTS, "channels": len(PARTS)}
STAGES: list[tuple[str, ...]] = [("prepare",), ("folds",), ("train", *FOLD), ("predict", *FOLD),
                                 ("ensemble",), ("submission",)]  # fmt: skip


def archive(path: Path, count: int) -> None:
    """Write a competition with `count` ids, a fifth of them for testing."""
    different = photos(50, 64, 48)
    ids = [f"{number:06d}" for number in range(count)]
    parts = {"test": ids[: count // 5], "train": ids[count // 5 :]}
    labels = [f"class{number % 10}" for number in range(len(parts["train"]))]
    test = pd.DataFrame({"id": parts["test"]})
    with zipfile.ZipFile(path, "w") as output:
        train = pd.DataFrame({"id": parts["train"], "label": labels})
        output.writestr("train.csv", train.to_csv(index=False))
        output.writestr("test.csv", test.to_csv(index=False))
        output.writestr("sample_submission.csv", test.assign(label="class0").to_csv(index=False))
        for part, names in parts.items():
            for name in names:
                for number, channel in enumerate(PARTS):
                    photo = different[(int(name) + number) % len(different)]
                    output.writestr(f"{part}/{name}_{channel}.jpg", photo)


def measure(count: int, prepare: dict[str, Any]) -> dict[str, str]:
    """Measure each stage with `count` ids."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project(folder, photos(10, 64, 48), prepare=prepare)
        archive(folder / "x.zip", count)
        measure_stage(folder, "fetch")
        measured = {command[0]: measure_stage(folder, *command) for command in STAGES}
    return {stage: f"{s:.1f} s, {memory:.0f} MiB" for stage, (s, memory) in measured.items()}


def main() -> None:
    """Measure competitions of each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="skip larger competitions")
    largest = parser.parse_args().largest
    os.environ[machine.CACHE_VARIABLE] = "0"
    columns = {}
    for name, prepare in (("separate", SEPARATE), ("stacked", STACKED)):
        for count in [size for size in SIZES if size <= largest]:
            columns[f"{count:,} ids, {name}"] = measure(count, prepare)
    rows = [(stage, *(results[stage] for results in columns.values())) for stage, *_ in STAGES]
    table(("stage", *columns), rows)


if __name__ == "__main__":
    main()
