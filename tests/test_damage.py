"""One changed byte in any file that a stage reads: the same is read, or an error is raised."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import provenances
import pytest
from trainings import config

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import files, manifest, seeding
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.core.provenance import PredictionProvenance
from podium.dataset import tables
from podium.dataset.image_files import find_images
from podium.images import store
from podium.images.store import ImageStore
from podium.models import factory, weights
from podium.prediction import knn, predictions
from podium.prediction.predictions import Predictions
from podium.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow  # runs stages, or trains again and again

CHANGES = 200
TRAINED = provenances.training(config=config().model_dump())

Reader = Callable[[], Any]


def archive(folder: Path) -> tuple[Path, Reader]:
    path = competitions.write_zip(folder / "x.zip", competitions.competition(12, 6))

    def read() -> Any:
        opened = Archive(path)
        found = tables.read(opened, Prepare(), "multiclass")
        ids = [*found.train["id"], *found.test["id"]]
        names = find_images(opened.names, ids, folder="")
        images = [opened.read(name) for name in names]
        return found.train.values.tolist(), found.sample.to_csv(), found.classes, images

    return path, read


def images(folder: Path) -> tuple[Path, Reader]:
    rng = np.random.default_rng(0)
    rows = [(f"{n:03d}", competitions.encode(competitions.picture("circle", rng), "JPEG"))
            for n in range(30)]  # fmt: skip
    path = folder / "images" / "00000.arrow"
    path.parent.mkdir()
    store.write_shard(path, iter(rows), encode="jpeg")

    def read() -> Any:
        opened = ImageStore(path.parent)
        return {image: opened.decode(image).tobytes() for image, _ in rows}

    return path, read


def folds(folder: Path) -> tuple[Path, Reader]:
    path = folder / "folds.csv"
    files.write_csv(path, competitions.tables(60, 0)[0].assign(fold=1))
    manifest.write(folder / "folds.json", [path.name], classes=["x", "y"])

    def read() -> Any:
        opened = Manifest(folder / "folds.json")
        return opened.csv(path.name).to_csv(), opened.facts["classes"]

    return path, read


def record(folder: Path) -> tuple[Path, Reader]:
    _, read = folds(folder)
    return folder / "folds.json", read


def trained(folder: Path) -> tuple[Path, Reader]:
    path = folder / "w.safetensors"
    seeding.set_global("x")
    weights.save(path, factory.create(config(), outputs=3).state_dict(), TRAINED)

    def read() -> Any:
        model, *rest = weights.load(path)
        return {k: v.numpy().tobytes() for k, v in model.state_dict().items()}, rest

    return path, read


def predicted(folder: Path) -> tuple[Path, Reader]:
    path = folder / "p.parquet"
    logits = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    predictions.write(
        path, Predictions([f"{n:03d}" for n in range(50)], logits, provenances.prediction(TRAINED))
    )

    def read() -> Any:
        found = predictions.read(path, PredictionProvenance)
        return found.ids, found.logits.tobytes(), found.provenance

    return path, read


def voting(folder: Path) -> tuple[Path, Reader]:
    path = folder / "n.safetensors"
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    knn.write(path, knn.Reference.of(features, np.arange(50) % 3, "w"))

    def read() -> Any:
        found = knn.read(path)
        return found.features.tobytes(), found.targets.tobytes(), found.weights_sha256

    return path, read


def checkpoint(folder: Path) -> tuple[Path, Reader]:
    """The newer of two: if it is damaged, the older one is read."""
    kept, expected = Checkpoints(folder / "x"), {}
    kept.identify({})
    for number in (1, 2):
        net = factory.create(config(), outputs=3).state_dict()
        expected[number] = {name: tensor.numpy().tobytes() for name, tensor in net.items()}
        kept.save({"net": net, "number": number}, wait=True)

    again = Checkpoints(folder / "x")
    again.identify({})  # reads all our code

    def read() -> Any:
        state = again.load()
        assert state is not None
        tensors = {name: tensor.numpy().tobytes() for name, tensor in state["net"].items()}
        return tensors == expected[state["number"]]

    return folder / "x" / "0.ckpt", read


@pytest.mark.parametrize(
    "kind",
    [archive, images, folds, record, trained, predicted, voting, checkpoint],
    ids=lambda k: k.__name__,
)
def test_a_changed_byte_changes_nothing_or_is_an_error(
    kind: Callable[[Path], tuple[Path, Reader]], tmp_path: Path
) -> None:
    path, read = kind(tmp_path)
    whole, expected = path.read_bytes(), read()
    rng, errors = random.Random(0), 0
    # Half of them at the file's ends, where its headers are.
    for number in range(CHANGES):
        place = rng.randrange(len(whole))
        if number % 2:
            near = rng.randrange(min(1000, len(whole)))
            place = rng.choice([near, len(whole) - 1 - near])
        damaged = bytearray(whole)
        damaged[place] ^= rng.randint(1, 255)
        path.write_bytes(damaged)
        try:
            found = read()
        except UserError:
            errors += 1
        else:
            assert found == expected, f"byte {place} of {path.name}"
    assert errors > CHANGES / 4 or kind is checkpoint


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    for kind in (archive, images, folds, record, trained, predicted, voting):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        path, read = kind(folder)
        whole = path.read_bytes()
        for length in (0, 1, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:length])
            with pytest.raises(UserError):
                read()
