"""Measure what each model costs on this device, for a few seconds: time and memory."""

import argparse
import math
from collections.abc import Iterator

import pandas as pd

from podium.competition.archive import Archive
from podium.core import console, files, params_file, paths, program, seeding
from podium.core.errors import UserError, counted
from podium.core.manifest import Manifest
from podium.images.store import ImageStore
from podium.init import guard, printout, rewrite
from podium.models import device
from podium.params import backbone, schema
from podium.params.schema import Params
from podium.planning import limit, overview, stopwatch, timing, timing_probes
from podium.planning.cost import Process, Split
from podium.planning.overview import Row
from podium.planning.timing import ToPredict
from podium.planning.timing_probes import EmbeddingTime
from podium.prediction import pseudo
from podium.training import build
from podium.training.build import TrainingData

EXPLORE_PASSES = 1.8  # relative to one pass of the network, see benchmarks/look.py
LIGHT_STAGES = 7  # check, ensemble, submission, report; and three for DVC


def main() -> None:
    """Print the table, and whether the time fits into --hours; or measure features and write."""
    options = _options()
    params = schema.load(build_models=True)
    if options.write:
        _write(params)
    else:
        _plan(params, options.hours)


def _write(params: Params) -> None:
    """Compare features as `make init` does, and write the best to params.yaml."""
    guard.check_committed(params_file.PARAMS, command="make plan WRITE=1")
    path = paths.RAW / f"{params.competition.slug}.zip"
    if not path.exists():
        raise UserError(f"{path} not found. Run `dvc repro fetch`, then `make plan WRITE=1`.")
    console.say("Measuring how the images should become square")
    with Archive(path) as archive:
        measured = rewrite.measure_again(params, archive)
    print(printout.measured(measured))
    text = rewrite.apply(params_file.PARAMS.read_text(encoding="utf-8"), params, measured)
    schema.validate(params_file.parse(text, source="make plan"), source="make plan")
    files.write_text(params_file.PARAMS, text)
    print("\nWrote params.yaml. Review it with `git diff`, then run `dvc repro`.")


def _plan(params: Params, hours: float | None) -> None:
    if not paths.FOLDS.exists():
        raise UserError(
            f"{paths.FOLDS} not found: the images are not prepared. Run `dvc repro folds`, then "
            "`make plan`."
        )
    seeding.set_deterministic(params.deterministic)
    data, test = build.read_data(paths.DATA), Manifest(paths.PREPARED).csv("test.csv")["id"]
    console.say("Measuring. Other programs make it take longer, as they do for the training.")
    process = stopwatch.process()
    rows = [*_models(params, data, test.tolist(), process)]
    rows += _explore(params, data, len(test), process)
    rows += _probes(params, data, len(test), process)
    rows.append(Row("other stages", LIGHT_STAGES * process.light))
    seconds = overview.total(rows)
    print(f"\n{overview.table(rows)}")
    trainings = [(name, fold) for name in params.models for fold in params.folds.run]
    if done := sum(paths.weights(*training).exists() for training in trainings):
        print(
            f"\n{counted(done, 'training', 'has', of=len(trainings))} written its "
            "weights; `dvc status` lists what would run again"
        )
    where = device.accelerator("auto").device
    if where.type == "cuda" and (advice := overview.advice(rows, device.memory_bytes(where))):
        print(f"\n{advice}")
    if hours is not None:
        print(f"\n{console.duration(seconds)} {limit.verdict(seconds, hours)}")


def _models(params: Params, data: TrainingData, test: list[str], process: Process) -> Iterator[Row]:
    """One row per model, measured on its first fold."""
    fold, store = params.folds.run[0], ImageStore(paths.IMAGES / "test")
    for name, config in params.models.items():
        console.say(f"{name}: {config.architecture}, {config.image_size} pixels")
        extended = pseudo.extend(
            data,
            config.pseudo_labels,
            fold=fold,
            test=store.folder,
            metadata=paths.metadata("test"),
        )
        seed = config.seed_or(params.seed)
        predicted = ToPredict(store, test, params.predict)
        measured = timing.measure_model(config, extended, predicted, fold=fold, seed=seed)
        assert measured.prediction is not None
        split = measured.split._replace(test=len(test))
        times = [(name, split, len(params.folds.run))]
        if name in params.folds.all:
            every = Split(split.training + split.validation, 0, split.test)
            times.append((f"{name} (all folds)", every, 1))
        for title, images, folds in times:
            training = measured.training.seconds(measured.epochs, measured.batch_size, images)
            predicted_images = images.validation + images.test
            if params.predict.neighbors is not None:  # one view of the training images
                predicted_images += math.ceil(images.training / len(params.predict.views))
            prediction = measured.prediction.seconds(predicted_images)
            prediction += process.start + measured.training.network
            used = measured.memory, measured.gpu_use
            yield Row(title, process.start + training, prediction, folds, *used)


def _explore(
    params: Params, data: TrainingData, test_images: int, process: Process
) -> Iterator[Row]:
    """A row for the stage explore, if it computes features with a network."""
    network = backbone.of(params)
    if network is not None:
        store, ids = ImageStore(paths.IMAGES / "train"), data.folds["id"].tolist()
        time = timing_probes.measure_embedding(network, store, ids, seed=params.seed)
        seconds = EXPLORE_PASSES * time.images.seconds(len(ids) + test_images)
        yield Row("explore", process.start + time.network + seconds, memory=time.memory)


def _probes(
    params: Params, data: TrainingData, test_images: int, process: Process
) -> Iterator[Row]:
    """One row per embedding, and one per probe."""
    sample = data.folds.sample(frac=1, random_state=params.seed)["id"].tolist()
    store, times = ImageStore(paths.IMAGES / "train"), dict[str, EmbeddingTime]()
    for name, embedding in params.embeddings.items():
        console.say(f"{name}: {embedding.architecture}, {embedding.image_size} pixels")
        times[name] = timing_probes.measure_embedding(embedding, store, sample, seed=params.seed)
        seconds = times[name].images.seconds(len(data.folds) + test_images)
        total = process.start + times[name].network + seconds
        yield Row(f"{name} (embedding)", total, memory=times[name].memory)
    for name, probe in params.probes.items():
        features = [times[embedding].features for embedding in probe.embeddings]
        head = timing_probes.measure_head(probe, features, data, sample, seed=params.seed)
        folds = len(params.folds.of(name))
        images = _training_images(data.folds, params.folds.run)
        fit = head.fit(images, max(1, len(features)), params.folds.count)
        yield Row(f"{name} (probe)", process.start / folds + fit, folds=folds)


def _training_images(folds: pd.DataFrame, run: list[int]) -> float:
    """The mean number of images that a fold is trained on."""
    kept = folds[folds["train"] == "yes"] if "train" in folds else folds
    return sum((kept["fold"] != fold).sum() for fold in run) / len(run)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make plan", description=__doc__)
    parser.add_argument("--hours", type=limit.positive, help="say whether it fits into this time")
    parser.add_argument(
        "--write",
        action="store_true",
        help="instead compare resize modes and sizes, as init does, and write the best",
    )
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main)
