"""Compare one process with two that share the shards of each batch, on a CPU or on two GPUs.

python benchmarks/shards.py [--architecture resnet18] [--size 96] [--images 600] [--shards 2]
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import photos
from competition import MODEL, measure_stage, project

WEIGHTS = Path("models/m/fold0/weights.safetensors")


def main() -> None:
    """Train with each number of processes, and print the last epoch's images per second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # with the default, one process uses all cores
    model = {
        **MODEL,
        "architecture": options.architecture,
        "image_size": options.size,
        "batch_size": 32,
        "shards": options.shards,
        "phases": [{"epochs": 2, "lr": 1e-3}],
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project(
            folder,
            photos(options.images, 128, 96),
            models={"m": model},
            ensemble={"members": ["m"]},
        )
        for stage in ("check", "fetch", "prepare", "folds"):
            measure_stage(folder, stage)
        weights = set()
        for processes in (1, 2):
            subprocess.run(
                [sys.executable, "src/train.py", "--model", "m", "--fold", "0"],
                cwd=folder,
                env={**os.environ, "PODIUM_PROCESSES": str(processes)},
                stdout=subprocess.DEVNULL,
                check=True,
            )
            with (folder / "models/m/fold0/curves.csv").open() as file:
                speed = float([*csv.DictReader(file)][-1]["images_per_s"])
            print(f"{processes} processes: {speed:.0f} images/s", flush=True)
            weights.add((folder / WEIGHTS).read_bytes())
        print("equal bytes" if len(weights) == 1 else "the weights differ")


if __name__ == "__main__":
    main()
