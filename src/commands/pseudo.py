"""Freeze the members' predictions of the test images as labels to train on."""

import argparse
import subprocess
from pathlib import Path

import numpy as np

from podium.config.models import PseudoLabels
from podium.core import files, params_file, paths, program
from podium.core.errors import UserError, counted
from podium.core.provenance import PredictionProvenance, PseudoProvenance
from podium.init import merge
from podium.params import schema
from podium.prediction import predictions, pseudo
from podium.prediction.predictions import Predictions
from podium.scoring.task import Task

MIN_PROBABILITY = 0.9


def main() -> None:
    """Write data/pseudo/<checksum>/, add it to DVC, and let the given model train on it."""
    parser = argparse.ArgumentParser(prog="make pseudo", description=__doc__)
    parser.add_argument("model", nargs="?", help="whose pseudo_labels are set in params.yaml")
    name = parser.parse_args().model
    params = schema.load()
    model = params.model(name) if name else None
    tables = []
    for fold in params.folds.run:
        members = {}
        for member in params.ensemble.members:
            path = paths.PREDICTIONS / paths.fold_name(member, fold) / "test.parquet"
            members[member] = predictions.read(path, PredictionProvenance)
        tables.append(pseudo.combine(members))
    folder = pseudo.write(paths.PSEUDO, tables)
    _dvc_add(folder)
    labels = PseudoLabels(folder=folder.as_posix(), min_probability=MIN_PROBABILITY)
    if model is not None and model.pseudo_labels is not None:
        labels = model.pseudo_labels.model_copy(update={"folder": folder.as_posix()})
    _describe(tables, labels, members=params.ensemble.members)
    if name:
        text = params_file.PARAMS.read_text(encoding="utf-8")
        text = merge.set_key(text, "models", name, "pseudo_labels", labels.model_dump())
        files.write_text(params_file.PARAMS, text)
        print(f"Set models.{name}.pseudo_labels in params.yaml. Next: dvc repro")


def _dvc_add(folder: Path) -> None:
    command = ["dvc", "add", "--quiet", folder.as_posix()]
    added = subprocess.run(command, capture_output=True, text=True, check=False)
    if added.returncode != 0:
        raise UserError(f"`dvc add {folder}` failed: {added.stderr.strip()}")


def _describe(
    tables: list[Predictions[PseudoProvenance]], labels: PseudoLabels, *, members: list[str]
) -> None:
    """Print how many images are labeled, and the setting that uses them."""
    task = Task.of(tables[0].provenance)
    shares = [
        (pseudo.confidence(task, task.probabilities(table.logits)) >= labels.min_probability).mean()
        for table in tables
    ]
    print(
        f"{labels.folder}: {counted(len(tables[0].ids), 'test image')}, predicted by "
        f"{', '.join(members)}; {np.mean(shares):.0%} reach min_probability "
        f"{labels.min_probability:g}\n"
        f"  pseudo_labels: {{folder: {labels.folder}, min_probability: {labels.min_probability:g}}}"
    )


if __name__ == "__main__":
    program.run(main)
