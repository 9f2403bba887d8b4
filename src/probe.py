"""Fit one probe's heads -> models/<probe>/, metrics/<probe>/ and data/predictions/<probe>/."""

import argparse
import time
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from podium.config.folds import Folds
from podium.config.probes import Probe
from podium.core import console, files, params_file, paths, program
from podium.core.errors import UserError, counted
from podium.core.manifest import Manifest
from podium.core.provenance import PredictionProvenance, TrainingProvenance
from podium.features import probe, tables
from podium.features.tables import Features
from podium.metadata import table as metadata_table
from podium.metadata.encoding import Encoding
from podium.models import weights
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import decisions, metrics, units
from podium.scoring.metrics import Metric
from podium.scoring.task import Task, with_known_class
from podium.scoring.units import How, Units

SECTIONS = {
    "seed": int,
    "metric": str | None,
    "folds.run": (Folds, "run"),
    "probes.{probe}": Probe,
}


PARTS = ("train", "test")
MIN_IMAGES = 2  # for cross-validation


class Data(NamedTuple):
    """The features and folds that all heads of a probe share."""

    name: str
    features: dict[str, list[Features]]  # one per embedding, by "train" or "test"
    metadata: dict[str, pd.DataFrame]  # by "train" or "test"
    test_ids: list[str]
    images_sha256: dict[str, str]  # by "train" or "test"
    folds: pd.DataFrame  # id, label, fold; with folds.subsample also train ("yes" or "no")
    labeled: pd.DataFrame  # its rows that have one of the classes
    folds_sha256: str
    task: Task
    metric: Metric
    aggregate: How  # of the predictions of a unit's images


def main() -> None:
    """Fit a head for each fold to the others, and predict that fold and the test images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe", required=True)
    options = parser.parse_args()
    seed, metric_name, run, config = params_file.load(SECTIONS, probe=options.probe)
    manifest = Manifest(paths.FOLDS)
    task = Task.read(manifest)
    folds = manifest.csv("folds.csv").astype({"fold": int})
    prepared = Manifest(paths.PREPARED)
    data = Data(
        options.probe,
        {p: [tables.read(paths.embedding(name, p)) for name in config.embeddings] for p in PARTS},
        {part: metadata_table.read(paths.metadata(part)) for part in PARTS},
        prepared.csv("test.csv")["id"].tolist(),
        prepared.facts["images_sha256"],
        folds,
        with_known_class(folds, manifest),
        manifest.sha256["folds.csv"],
        task,
        metrics.get(metric_name, task.name),
        units.read_how(paths.METRIC),
    )
    for fold in run:
        _run(data, config, fold, seed)


def _run(data: Data, config: Probe, fold: int, seed: int) -> None:
    """Fit the head of one fold, and write it, its score and its predictions."""
    start, task, folds = time.perf_counter(), data.task, data.labeled
    targets = task.targets(folds["label"].tolist())
    held_out = (folds["fold"] == fold).to_numpy()
    rows = ~held_out & (folds["train"] == "yes").to_numpy() if "train" in folds else ~held_out
    if rows.sum() < MIN_IMAGES:
        raise UserError(
            f"fold {fold} has {rows.sum()} training images, a probe needs {MIN_IMAGES}. Keep more "
            "with folds.subsample."
        )
    encoding, sizes = None, [features.values.shape[2] for features in data.features["train"]]
    if config.has_metadata:
        encoding = Encoding.fit(data.metadata["train"].loc[folds.loc[rows, "id"]])
        sizes.append(encoding.size)
    fitted = probe.fit(
        config,
        _inputs(data, config, "train", folds.loc[rows, "id"].tolist(), encoding),
        targets[rows],
        sizes=sizes,
        task=task,
        folds=folds["fold"].to_numpy()[rows],
        seed=seed,
    )
    provenance = _provenance(data, config, fold, seed, encoding)
    name = paths.fold_name(data.name, fold)
    path = paths.weights(data.name, fold)
    weights.save(path, {k: torch.from_numpy(v) for k, v in fitted.arrays.items()}, provenance)
    _, _, sha256 = weights.read(path)
    ids = {
        "oof": data.folds.loc[data.folds["fold"] == fold, "id"].tolist(),
        "test": data.test_ids,
    }
    views = data.features["train"][0].views if config.embeddings else []
    logits = {}
    for part, of in (("oof", "train"), ("test", "test")):
        logits[part] = np.zeros((0, len(task.classes)), np.float32)
        if ids[part]:
            features = _inputs(data, config, of, ids[part], encoding)
            logits[part] = probe.predict(config.head, fitted.arrays, features, task)
        predicted = PredictionProvenance(
            training=provenance,
            weights_sha256=sha256,
            predict={"views": views},
            images_sha256=data.images_sha256[of],
            averaging="logits",
        )
        table = paths.PREDICTIONS / name / f"{part}.parquet"
        predictions.write(table, Predictions(ids[part], logits[part], predicted))
    expected, of_class = targets[held_out], np.isin(ids["oof"], folds["id"])
    held_out_logits = logits["oof"][of_class]
    if (of_units := Units.of(folds[held_out], data.aggregate)) is not None:
        expected, held_out_logits = of_units.combine(task, expected, held_out_logits, "logits")
    score = decisions.score(task, data.metric, expected, held_out_logits)
    seconds = round(time.perf_counter() - start, 1)
    scores = {"strength": fitted.strength, data.metric.name: score, "inner_loss": fitted.loss}
    files.write_json(paths.METRICS / f"{name}.json", {**scores, "seconds": seconds})
    shown = _shown(fitted.strength)
    print(f"{name}: strength {shown}, {data.metric.name} {console.score(score)}, {seconds} s")


def _shown(strength: float | dict[str, float]) -> str:
    """The strength of the head, or of each target's."""
    if isinstance(strength, float):
        return f"{strength:g}"
    return ", ".join(f"{value:g} ({target})" for target, value in strength.items())


def _provenance(
    data: Data, config: Probe, fold: int, seed: int, encoding: Encoding | None
) -> TrainingProvenance:
    embeddings = [features.provenance for features in data.features["train"]]
    first = embeddings[0] if embeddings else None
    return TrainingProvenance(
        **data.task.facts(),
        folds_sha256=data.folds_sha256,
        images_sha256=data.images_sha256["train"],
        config={
            "probe": config.model_dump(),
            "embeddings": [embedding.to_json() for embedding in embeddings],
        },
        fold=fold,
        epochs=None,
        seed=seed,
        metric=data.metric.name,
        metric_sha256=data.metric.sha256,
        deterministic=first is None or first.deterministic,
        pretrained_sha256=None if first is None else first.pretrained_sha256,
        pretrained_revision=None if first is None else first.pretrained_revision,
        scale=[0.0, 1.0],
        torch=torch.__version__,
        device="cpu" if first is None else first.device,
        micro_batches=1,
        metadata=None if encoding is None else encoding.to_json(),
    )


def _inputs(
    data: Data, config: Probe, part: str, ids: list[str], encoding: Encoding | None
) -> np.ndarray:
    """Join the features of all embeddings and the metadata of the images `ids`: [N, V, D].

    Raises:
        UserError: if an image has no features, or other images were embedded.
    """
    rows = []
    for features in data.features[part]:
        index = {image: row for row, image in enumerate(features.ids)}
        missing = [image for image in ids if image not in index]
        if missing or features.provenance.images_sha256 != data.images_sha256[part]:
            raise UserError(
                f"{counted(len(missing), 'image', 'has')} no features. Run `dvc repro`."
            )
        rows.append(features.values[[index[image] for image in ids]])
    encoded = None if encoding is None else encoding.encode(data.metadata[part], ids)
    return probe.inputs(config, rows, encoded)


if __name__ == "__main__":
    program.run(main)
