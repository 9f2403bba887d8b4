from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from provenances import training
from trainings import FOLDS, config

from podium.config.predict import Neighbors, Predict
from podium.core import seeding
from podium.core.errors import UserError
from podium.images import ordered
from podium.images.store import ImageStore
from podium.models import factory, heads, weights
from podium.models.inputs import Preprocess
from podium.prediction import knn
from podium.prediction.knn import Reference
from podium.prediction.predictor import Predictor
from podium.prediction.tta import VIEWS

IDS, LABELS = FOLDS["id"].tolist(), FOLDS["label"].tolist()
CLASSES = ["circle", "square", "stripes"]
AT_0_90_180 = np.array([[1.0, 0], [0, 2], [-3, 0]], np.float32)


def blend(logits: np.ndarray, features: Any, reference: Reference, **options: Any) -> np.ndarray:
    found = knn.blend(logits, np.array(features, np.float32), reference, Neighbors(**options))
    assert found.dtype == np.float32
    return np.exp(found)


def test_the_votes_are_weighted_by_similarity_and_blended_with_the_probabilities() -> None:
    """An image at 60 degrees: cos 60 = 1/2 to class 0, cos 30 to class 1, -1/2 to class 2."""
    reference = Reference.of(AT_0_90_180, np.array([0, 1, 2]), "w")
    at_60 = [[[0.5, 3**0.5 / 2]]]
    share = 1 / (1 + np.exp(20 * (0.5 - 3**0.5 / 2)))  # of class 1, among the nearest two
    votes = (2 * np.array([1 - share, share, 0]) + 1 / 3) / 3
    alone = blend(np.zeros((1, 3)), at_60, reference, count=2, weight=1)
    assert alone[0] == pytest.approx(votes, abs=2e-3)  # features have 11 bits
    logits = np.log([[0.2, 0.3, 0.5]])
    both = blend(logits, at_60, reference, count=2, weight=0.25)
    assert both[0] == pytest.approx(0.75 * np.array([0.2, 0.3, 0.5]) + 0.25 * votes, abs=2e-3)
    # Only the direction counts, and there may be fewer images than neighbors.
    longer = blend(np.zeros((1, 3)), [[[5.0, 5 * 3**0.5]]], reference, count=2, weight=1)
    assert longer == pytest.approx(alone, abs=1e-6)
    assert blend(logits, at_60, reference, count=99).sum() == pytest.approx(1)


def test_the_votes_of_an_images_views_are_averaged() -> None:
    reference = Reference.of(AT_0_90_180, np.array([0, 1, 2]), "w")
    zeros = np.zeros((1, 3))
    views = [[1.0, 0.1], [-1.0, 0.1]]
    each = [blend(zeros, [[view]], reference, count=1, weight=1) for view in views]
    both = blend(zeros, [views], reference, count=1, weight=1)
    assert both == pytest.approx((each[0] + each[1]) / 2)


def test_only_images_that_the_fold_trains_on_vote() -> None:
    folds = pd.DataFrame({"id": list("abcd"), "fold": [0, 1, 2, 1]})
    assert knn.voters(folds, 1)["id"].tolist() == ["a", "c"]
    assert knn.voters(folds, "all")["id"].tolist() == [*"abcd"]
    fewer = folds.assign(train=["yes", "yes", "no", "yes"])
    assert knn.voters(fewer, 1)["id"].tolist() == ["a"]


def test_a_file_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    path, reference = (
        tmp_path / "n.safetensors",
        Reference.of(AT_0_90_180, np.array([0, 1, 2]), "w"),
    )
    knn.write(path, reference)
    again = knn.read(path)
    assert np.array_equal(again.features, reference.features) and again.features.dtype == np.float16
    assert again.targets.tolist() == [0, 1, 2] and again.weights_sha256 == "w"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"n\.safetensors"):
        knn.read(path)


def save(path: Path, **settings: Any) -> Path:
    model = config(resize_mode="squash", **settings)
    seeding.set_global("x")
    state = factory.create(model, outputs=3).state_dict()
    weights.save(path, state, training(config=model.model_dump(), classes=CLASSES))
    return path


@pytest.mark.parametrize(
    "settings", [{}, {"loss": "arcface", "embedding_size": 6}, {"architecture": "test_vit"}]
)
def test_a_predictor_compares_what_its_classifier_receives(
    settings: dict[str, Any], images: ImageStore, tmp_path: Path
) -> None:
    path = save(tmp_path / "w", **settings)
    views = ["identity", "hflip"]
    options = {"views": views, "batch_size": 5}
    with_votes = Predict.model_validate({**options, "neighbors": {"count": 3, "weight": 0.5}})
    predictor = Predictor(path, with_votes)
    predictor.learn_neighbors(images, FOLDS[20:], tmp_path / "n")
    reference = predictor.reference
    assert reference is not None and predictor.views == views
    assert reference.targets.tolist() == [CLASSES.index(label) for label in LABELS[20:]]
    net, _, sha256 = weights.load(path)
    assert reference.weights_sha256 == sha256

    plain = Predictor(path, Predict.model_validate(options)).predict(images, IDS[:12]).logits
    features = collect(net, images, IDS[:12], views)
    expected = knn.blend(plain, features, reference, Neighbors(count=3, weight=0.5))
    found = predictor.predict(images, IDS[:12])
    assert found.logits == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(found.logits, plain - plain.max(), atol=0.1)
    assert found.provenance.predict["neighbors"] == {"count": 3, "weight": 0.5}

    exported = knn.read(tmp_path / "n")  # as a kernel has it
    again = Predictor(path, with_votes, exported).predict(images, IDS[:12])
    assert np.array_equal(again.logits, found.logits)
    other = reference._replace(weights_sha256="other")
    with pytest.raises(UserError, match="is not what the neighbors' features are of"):
        Predictor(path, with_votes, other)


def collect(net: Any, images: ImageStore, ids: list[str], views: list[str]) -> np.ndarray:
    """The inputs of the classifier: [N, V, D]."""
    rows = []
    layer = heads.classifier(net)
    layer.register_forward_pre_hook(lambda _, args: rows.append(args[0]))
    loader = ordered.for_inference(images, ids, size=32, resize_mode="squash", batch_size=len(ids))
    (batch,) = loader
    ready = Preprocess(net, torch.device("cpu"))(batch.inputs)["image"]
    with torch.inference_mode():
        for view in views:
            net.eval()(VIEWS[view](ready))
    return torch.stack(rows, 1).numpy()


def test_votes_help_where_features_tell_more_than_the_head(
    images: ImageStore, tmp_path: Path
) -> None:
    """An untrained head on features of a network that separates the shapes somewhat."""
    predictor = Predictor(
        save(tmp_path / "w"),
        Predict.model_validate({"views": ["identity"], "neighbors": {"weight": 1.0}}),
    )
    predictor.learn_neighbors(images, FOLDS[20:], tmp_path / "n")
    logits = torch.from_numpy(predictor.predict(images, IDS[:20]).logits)
    targets = torch.tensor([CLASSES.index(label) for label in LABELS[:20]])
    assert F.cross_entropy(logits, targets) < 1.0 < np.log(3)
