"""What the kernel of a code competition runs: from its test images to submission.csv.

The stages' own code in their order (prepare, predict, ensemble, submission), of what an export
holds and nothing else.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.competition.folder import Folder
from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.core import console, files, machine, seeding
from podium.dataset import build, sample_submission
from podium.dataset.image_files import find_images
from podium.images.store import ImageStore
from podium.kaggle.kernel import spec
from podium.kaggle.kernel.spec import Exported, Member
from podium.prediction import predictions
from podium.prediction.predictor import Predictor
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import blend, write


def main(dataset: Path, competition: Path, target: Path) -> None:
    """Write the submission for the test images in the folder `competition` to `target`.

    Raises:
        UserError: if the export in the folder `dataset` is damaged, or the competition's files are
            not laid out as those that it was made from.
    """
    exported = spec.read(dataset)
    seeding.set_deterministic(exported.deterministic)
    folder = Folder(competition)
    sample, ids = read_test(folder, exported)
    console.say(f"{len(ids)} test images, {len(exported.members)} members")
    with tempfile.TemporaryDirectory(prefix="podium-") as work:
        store = prepared(folder, ids, exported.prepare, Path(work))
        logits = [_member(m, dataset, store, ids, exported) for m in exported.members]
    weights = np.array([member.weight for member in exported.members])
    averaging = blend.common(member.averaging for member in exported.members)
    metric = metrics.get(exported.metric, exported.task)
    made = write.fill(
        sample,
        ids,
        blend.average(np.stack(logits), weights, averaging),
        task=Task(exported.task, exported.classes),
        rule=exported.decision,
        metric=metric,
        options=exported.submission,
    )
    files.write_csv(target, made)
    console.say(f"{target}: {len(made)} rows")


def read_test(archive: Archive, exported: Exported) -> tuple[pd.DataFrame, list[str]]:
    """The sample submission and the test ids, as `tables.read` has them: no labels are read.

    Raises:
        UserError: as of `tables.read`.
    """
    layout = exported.prepare
    sample = sample_submission.read(archive, layout)
    if sample is not None:
        sample_submission.check_targets(sample, exported.classes, exported.task, layout)
    test, sample = sample_submission.read_test(archive, layout, sample)
    return sample, test["id"].tolist()


def prepared(folder: Folder, ids: list[str], layout: Prepare, work: Path) -> ImageStore:
    """The test images as `prepare` stores them, which reads an archive: they are packed."""
    archive: Archive = folder
    packed = work / "test.zip"
    if layout.pixel_columns is not None:
        layout = layout.model_copy(update={"train_csv": layout.test_csv})  # no training rows here
    else:
        found = find_images(folder.names, ids, folder=layout.test_images)
        folder.pack(list(dict.fromkeys(name for name in found if name)), packed)
        archive = Archive(packed, title=str(folder.path))
    wanted = {"train": list[str](), "test": ids}
    stored = build.store_images(
        archive, wanted, folder=work / "images", layout=layout, processes=machine.worker_count()
    )
    files.remove(packed)
    for warning in stored.warnings(layout):
        console.say(f"warning: {warning}")
    return ImageStore(work / "images" / "test")


def _member(
    member: Member, dataset: Path, store: ImageStore, ids: list[str], exported: Exported
) -> np.ndarray:
    """A model's logits, the mean of its folds': [T, C]."""
    folds = []
    for fold in member.folds:
        console.say(f"{member.name}: {fold.file}")
        folds.append(_predict(dataset / fold.file, store, ids, exported.known, exported.predict))
    return blend.mean_over_folds(folds, member.averaging)


def _predict(
    path: Path, store: ImageStore, ids: list[str], known: list[str], options: Predict
) -> np.ndarray:
    """The logits of one model and fold: [T, C].

    Images that are in a batch together can change each other's last bits (a matrix of another
    shape is multiplied in another order): those `known` from the export are predicted first, in
    the batches that they had there.
    """
    predictor = Predictor(path, options)
    predictor.enforce_time_limit(store, ids)
    present, before = set(ids), set(known)
    groups = [i for i in known if i in present], [i for i in ids if i not in before]
    parts = [predictor.predict(store, group).table for group in groups if group]
    return predictions.align(parts, ids, source=path.name)
