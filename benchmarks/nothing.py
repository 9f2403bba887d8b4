"""Time `dvc repro` when nothing has changed, with five models and five folds.

The outputs are placeholders, recorded with `dvc commit`.

python benchmarks/nothing.py [--images 100000]
"""

import argparse
import hashlib
import statistics
import tempfile
from pathlib import Path

from common import photos, table
from competition import MODEL, measure_stage, project, run


def measure(count: int) -> None:
    """Measure with `count` images, and print the seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, names = Path(temporary), [f"m{number}" for number in range(5)]
        project(
            folder,
            photos(count, 64, 48),
            folds={"count": 5, "run": list(range(5)), "subsample": {}},
            models=dict.fromkeys(names, MODEL),
            ensemble={"members": names, "method": "mean"},
        )
        for stage in ("check", "fetch", "prepare", "folds"):
            measure_stage(folder, stage)
        outputs: dict[str, bytes] = {
            "reports/report.md": b"",
            "reports/oof.csv": b"actual,predicted\n",
        }
        outputs |= {
            "metrics/ensemble.json": b"{}",
            "submissions/x.csv": b"",
            "submissions/x.json": b"{}",
        }
        outputs |= {"data/ensemble/oof.parquet": b"x", "data/ensemble/test.parquet": b"x"}
        for name in names:
            for fold in range(5):
                weights = hashlib.sha256(f"{name}{fold}".encode()).digest() * 3_000_000
                outputs |= {
                    f"models/{name}/fold{fold}/weights.safetensors": weights,
                    f"models/{name}/fold{fold}/curves.csv": b"epoch,score\n1,0.5\n",
                    f"metrics/{name}/fold{fold}.json": b'{"seconds": 1}',
                    f"data/predictions/{name}/fold{fold}/oof.parquet": weights[:1_000_000],
                    f"data/predictions/{name}/fold{fold}/test.parquet": weights[:1_000_000],
                }
        for path, data in outputs.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        run(folder, "dvc", "commit", "--force", "--quiet")
        run(folder, "git", "init", "--quiet")
        run(folder, "dvc", "repro")
        run(folder, "sh", "-c", "dvc repro | grep 'up to date'")
        seconds = statistics.median(run(folder, "dvc", "repro") for _ in range(5))
        table(
            ("command", "seconds"),
            [(f"`dvc repro`, nothing changed, {count} images", f"{seconds:.1f}")],
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    measure(parser.parse_args().images)


if __name__ == "__main__":
    main()
