"""Measure how many flipped labels `make look` lists, over several plantings.

    python benchmarks/flipped_labels.py data/weather.zip --weights mobilenetv2_100.safetensors

Nothing else is planted, so that the features are computed only once. Labels that were wrong before
count as right.
"""

import argparse
from pathlib import Path

import numpy as np
from planted_faults import FLIPPED, look

PLANT = f"""
import sys

import numpy as np

from podium.config.embeddings import Embedding
from podium.core import files, paths
from podium.explore import label_errors
from podium.explore.data import read

network = files.read_json(paths.EXPLORE)
data = read(network and Embedding.model_validate(network), seed=int(sys.argv[1]))
features, classes = data.described.features[: data.n_train], data.task.classes
results = []
for seed in range(int(sys.argv[2])):
    rng, labels = np.random.default_rng(seed), list(data.labels)
    flipped = rng.choice(data.n_train, round({FLIPPED} * data.n_train), replace=False)
    for row in flipped:
        labels[row] = str(rng.choice([name for name in classes if name != labels[row]]))
    judged = np.arange(data.n_train)
    found = label_errors.find(features, data.task, labels, data.folds, rng, judged).found
    right = len({{issue.row for issue in found}} & {{*flipped.tolist()}})
    results.append([len(flipped), len(found), right])
print(files.json.dumps(results))
"""


def main() -> None:
    """Print a row per archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--weights", default=True, help="a file; else timm's own")
    parser.add_argument("--architecture", default="mobilenetv2_100")
    parser.add_argument("--plantings", type=int, default=10)
    options = parser.parse_args()
    print("| images | plantings | flipped | listed | precision | lowest | recall | lowest |")
    print("|---|---|---|---|---|---|---|---|")
    for archive in options.archives:
        network = {"architecture": options.architecture, "pretrained": options.weights}
        results, _ = look(
            archive, network, 42, plant=False, script=PLANT, arguments=[str(options.plantings)]
        )
        flipped, listed, right = np.array(results).T
        cells = [archive.stem, len(results), flipped[0], f"{listed.mean():.0f}"]
        for values in (right / np.maximum(1, listed), right / flipped):
            cells += [f"{values.mean():.2f}", f"{values.min():.2f}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
