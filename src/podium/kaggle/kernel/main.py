"""Run an export: predict the test images in a competition's folder and write submission.csv.

Calls the same functions as the stages prepare, predict, ensemble and submission.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.competition.folder import Folder
from podium.config.prepare import Prepare
from podium.core import console, files, machine, seeding
from podium.core.errors import counted
from podium.dataset import build, metadata_columns, sample_submission, stacks
from podium.dataset.sample_submission import Sample
from podium.dataset.submission_file import SubmissionFile
from podium.images.store import ImageStore
from podium.kaggle.kernel import spec as kernel_spec
from podium.kaggle.kernel.probes import ProbePredictor
from podium.kaggle.kernel.spec import ExportedModel, KernelSpec
from podium.prediction import knn, predictions
from podium.prediction.predictor import Predictor
from podium.scoring import metrics, units
from podium.scoring.task import Task
from podium.submission import blend, write
from podium.submission.methods import base


def main(dataset: Path, competition: Path, target: Path) -> None:
    """Write the submission for the test images in the folder `competition` to `target`.

    Raises:
        UserError: if the export in the folder `dataset` is damaged, or the competition's files
            differ in layout from those before the export.
    """
    spec = kernel_spec.read(dataset)
    seeding.set_deterministic(spec.deterministic)
    metric = metrics.get(spec.metric, spec.task)
    folder = Folder(competition, used=spec.prepare.test_names)
    sample, test = read_test(folder, spec)
    ids = test["id"].tolist()
    console.say(f"{counted(len(ids), 'test image')}, {counted(len(spec.models), 'model')}")
    with tempfile.TemporaryDirectory(prefix="podium-") as scratch:
        store = prepare(folder, ids, spec.prepare, Path(scratch), spec.detected_range)
        metadata = read_metadata(folder, test, spec.prepare)
        logits = [predict(model, spec, dataset, store, test, metadata) for model in spec.models]
    task = Task(spec.task, spec.classes, spec.targets)
    logits = [
        units.aggregate(task, values, test, spec.aggregate, model.averaging)
        for model, values in zip(spec.models, logits, strict=True)
    ]
    blended = blend.apply(
        blend.members_task(task, spec.blend),
        spec.blend,
        np.stack(logits),
        units.metadata(test, metadata),
    )
    predicted = write.fill(
        sample.wide,
        *sample.file.select(units.table(test)["id"].tolist(), blended),
        task=task,
        rule=spec.decision,
        metric=metric,
        options=spec.submission,
        value_range=spec.value_range,
    )
    submission = sample.file.fill(sample.rows, predicted)
    files.write_csv(target, submission)
    console.say(f"{target}: {counted(len(submission), 'row')}")


def read_test(archive: Archive, spec: KernelSpec) -> tuple[Sample, pd.DataFrame]:
    """Read the sample submission and the test images (id, and unit if images share a row of the
    submission) like `tables.read`, but no labels.

    Raises:
        UserError: as in `tables.read`.
    """
    layout = spec.prepare
    task = Task(spec.task, spec.classes, spec.targets)
    sample = sample_submission.read(archive, layout, task.submitted_names)
    if sample is not None:
        sample_submission.check_targets(sample.wide, task, layout)
    wide = None if sample is None else sample.wide
    test, wide = sample_submission.read_test(archive, layout, wide)
    return sample or Sample(wide, SubmissionFile(), wide), test


def prepare(
    folder: Folder,
    ids: list[str],
    layout: Prepare,
    scratch: Path,
    detected_range: list[float] | None = None,
) -> ImageStore:
    """Store the test images like the stage `prepare`, which detected a range of values.

    Raises:
        UserError: if an image is missing or cannot be decoded, and `layout` does not allow it.
    """
    archive: Archive = folder
    zipped = scratch / "test.zip"
    if layout.pixel_columns is not None:
        layout = layout.model_copy(update={"train_csv": layout.test_csv})  # there is no train.csv
    else:
        found = build.match_images(folder, {"test": ids}, layout)["test"]
        names = [name for _, files in found for name in stacks.names(files)]
        folder.pack(list(dict.fromkeys(names)), zipped)  # worker processes need a zip
        archive = Archive(zipped, title=str(folder.path))
    stored = build.store_images(
        archive,
        {"train": [], "test": ids},
        folder=scratch / "images",
        layout=layout,
        processes=machine.decoding_processes(archive.path.stat().st_size),
        detected_range=detected_range,
    )
    files.remove(zipped)
    for warning in stored._replace(value_range=None).warnings(layout):
        console.say(f"warning: {warning}")
    return ImageStore(scratch / "images" / "test")


def read_metadata(archive: Archive, test: pd.DataFrame, layout: Prepare) -> pd.DataFrame:
    """Read the columns of the test images that the models use, by image id.

    Raises:
        UserError: if the test table lacks a column or an image.
    """
    kinds = {name: kind for name, kind in layout.feature_kinds.items() if kind is not None}
    if not kinds:
        return pd.DataFrame(index=test["id"])
    table, warnings = metadata_columns.read_test(archive, layout, test, kinds)
    for warning in warnings:
        console.say(f"warning: {warning}")
    return table


def predict(
    model: ExportedModel,
    spec: KernelSpec,
    dataset: Path,
    store: ImageStore,
    test: pd.DataFrame,
    metadata: pd.DataFrame,
) -> np.ndarray:
    """Predict the images in the table `test` with all folds of a model and average their logits:
    [T, C].

    Which images share a batch can change the last bits of their logits (matrix shapes affect the
    order of summation), so the public ids are predicted first, in the same batches as before; of
    units, only those without hidden images.
    """
    ids, units = test["id"].tolist(), test.set_index("id").get("unit")
    hidden_ids = ~test["id"].isin(spec.public_ids)
    if units is not None:
        hidden_ids = hidden_ids.groupby(test["unit"]).transform("any")
    hidden = test.loc[hidden_ids, "id"].tolist()
    present = set(ids) - set(hidden)
    public = [image for image in spec.public_ids if image in present]
    logits = []
    if model.embeddings is not None:
        console.say(f"{model.name}: {counted(len(model.folds), 'head')}")
        prober = ProbePredictor(model, dataset)
        by_part = [
            (part, prober.predict(store, part, metadata)) for part in (public, hidden) if part
        ]
        for index, fold in enumerate(model.folds):
            pairs = [(part, values[index]) for part, values in by_part]
            logits.append(predictions.align(pairs, ids, source=fold.file))
        return base.mean_over_folds(logits, model.averaging)
    for index, fold in enumerate(model.folds):
        console.say(f"{model.name}: {fold.file}")
        voters = knn.read(dataset / model.neighbors[index].file) if model.neighbors else None
        predictor = Predictor(dataset / fold.file, spec.predict, voters)
        predictor.enforce_time_limit(store, ids, metadata, units)
        parts = [
            predictor.predict(store, part, metadata, units).table
            for part in (public, hidden)
            if part
        ]
        logits.append(predictions.align(parts, ids, source=fold.file))
    return base.mean_over_folds(logits, model.averaging)
