"""Freeze the members' predictions of the test images as labels to train on."""

import argparse
import subprocess

import numpy as np

from podium.core import paths, program
from podium.core.errors import UserError
from podium.core.provenance import PredictionProvenance
from podium.params import schema
from podium.prediction import predictions, pseudo
from podium.scoring.task import Task

THRESHOLD = 0.9  # what is printed


def main() -> None:
    """Write data/pseudo/<checksum>/, add it to DVC, and print the params that use it."""
    argparse.ArgumentParser(prog="make pseudo", description=__doc__).parse_args()
    params = schema.load()
    tables = []
    for fold in params.folds.run:
        members = {}
        for name in params.ensemble.members:
            path = paths.PREDICTIONS / paths.fold_name(name, fold) / "test.parquet"
            members[name] = predictions.read(path, PredictionProvenance)
        tables.append(pseudo.combine(members))
    folder = pseudo.write(paths.PSEUDO, tables)
    added = subprocess.run(
        ["dvc", "add", "--quiet", folder.as_posix()], capture_output=True, text=True, check=False
    )
    if added.returncode != 0:
        raise UserError(f"`dvc add {folder}` failed: {added.stderr.strip()}")
    task = Task.of(tables[0].provenance)
    shares = [
        (pseudo.confidence(task, task.probabilities(table.logits)) >= THRESHOLD).mean()
        for table in tables
    ]
    print(
        f"{folder}: {len(tables[0].ids)} test images, labeled by {', '.join(members)}"
        f"\n{np.mean(shares):.0%} of them with a probability of at least {THRESHOLD}"
        f"\nTo train on these, add to a model in params.yaml:"
        f"\n    pseudo_labels: {{folder: {folder.as_posix()}, min_probability: {THRESHOLD}}}"
    )


if __name__ == "__main__":
    program.run(main)
