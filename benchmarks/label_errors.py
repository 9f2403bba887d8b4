"""How many flipped labels the report finds: python benchmarks/label_errors.py data/weather.zip
--weights mobilenetv2_100.safetensors. Flips 5 % of the training labels of a competition, trains
a probe on frozen features with them, and compares what the report lists with what was flipped.
"""

import argparse
import csv
import io
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
SHARE = 0.05
SHOW = """
from podium.core import params_file
from podium.pages import mistakes, outcome
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.core import paths
from podium.core.manifest import Manifest

task = Task.read(Manifest(paths.PREPARED)).name
found = outcome.read(metrics.get(None, task))
print("\\n".join(found.ids[row] for row in mistakes.label_issues(found)))
"""


def main() -> None:
    """Print a row per archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--weights", default=True, help="a file; else timm's own")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42])
    options = parser.parse_args()
    print("| images | seed | flipped | listed | precision | recall |\n|---|---|---|---|---|---|")
    for archive in options.archives:
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                flipped, listed = _run(archive, Path(folder), options.weights, seed)
            right = len(flipped & listed)
            scores = f"{right / max(1, len(listed)):.2f} | {right / len(flipped):.2f}"
            row = f"{archive.stem} | {seed} | {len(flipped)} | {len(listed)} | {scores}"
            print(f"| {row} |", flush=True)


def _run(archive: Path, folder: Path, weights: str | bool, seed: int) -> tuple[set[str], set[str]]:
    """The ids whose labels were flipped, and those that the report lists."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    flipped = _flip(archive, folder / "data" / archive.name, seed)

    def run(*command: str, **environment: str) -> str:
        variables = os.environ | {"PYTHONPATH": "src"} | environment
        done = subprocess.run(
            command, cwd=folder, env=variables, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        return done.stdout

    init = (sys.executable, "-m", "commands.init", "--yes", f"data/{archive.name}")
    run(*init, PODIUM_INIT_ARGS="--quick")
    path, yaml = folder / "params.yaml", YAML()
    params = yaml.load(path)
    base = {"architecture": "mobilenetv2_100", "pretrained": weights, "image_size": 224}
    params["embeddings"] = {"crop": {**base, "resize_mode": "crop"}}
    params["probes"], params["models"] = {"probe": {"features": ["crop"]}}, {}
    params["folds"] |= {"count": 5, "run": [0, 1, 2, 3, 4]}
    params["prepare"]["max_size"] = 256
    params["ensemble"]["members"], params["seed"] = ["probe"], seed
    yaml.dump(params, path)
    run("dvc", "repro", "-q", "page")
    return flipped, set(run(sys.executable, "-c", SHOW).split("\n")) - {""}


def _flip(archive: Path, copy: Path, seed: int) -> set[str]:
    """Copy an archive with some labels of its first CSV with a column `label` replaced by others;
    the ids (the first column) of the images.
    """
    rng, flipped = random.Random(seed), set[str]()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(copy, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            rows = (
                list(csv.reader(io.StringIO(data.decode())))
                if entry.filename.endswith(".csv")
                else []
            )
            if rows and "label" in rows[0][1:]:
                column = rows[0].index("label")
                rows = [[row[0], row[column]] for row in rows]  # other targets are left out
                labels = sorted({row[1] for row in rows[1:]})
                for row in rng.sample(rows[1:], 0 if flipped else round(SHARE * (len(rows) - 1))):
                    row[1] = rng.choice([label for label in labels if label != row[1]])
                    flipped.add(row[0])
                text = io.StringIO()
                csv.writer(text).writerows(rows)
                data = text.getvalue().encode()
            target.writestr(entry, data)
    return flipped


if __name__ == "__main__":
    main()
