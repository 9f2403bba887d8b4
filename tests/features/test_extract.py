"""Features of a frozen network, and their tables."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from trainings import FOLDS

from podium.config.embeddings import Embedding
from podium.core.errors import UserError
from podium.core.provenance import EmbeddingProvenance
from podium.features import extract, tables
from podium.features.extract import Extractor
from podium.features.tables import Features
from podium.images.store import ImageStore
from podium.prediction.tta import VIEWS


def config(**changes: object) -> Embedding:
    values = {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
    return Embedding.model_validate(values | changes)


@pytest.mark.parametrize(
    "architecture", ["test_resnet", "test_vit", "test_efficientnet", "convnext_atto", "resnet10t"]
)
def test_pooled_features_are_those_without_the_classifier(architecture: str) -> None:
    torch.manual_seed(0)
    net = timm.create_model(architecture, num_classes=3).eval()
    size = net.pretrained_cfg["input_size"][-1] if "vit" in architecture else 64
    images = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        found = extract.pooled(net, images)
        logits = net.get_classifier()(found)
        torch.testing.assert_close(logits, net(images))
    assert found.ndim == 2


def test_a_network_without_vectors_is_an_error() -> None:
    class Maps(torch.nn.Module):
        def forward_features(self, images: torch.Tensor) -> torch.Tensor:
            return images

        def forward_head(self, features: torch.Tensor, pre_logits: bool) -> torch.Tensor:
            assert pre_logits
            return features

    with pytest.raises(UserError, match=r"Maps gives features of shape \(3, 8, 8\)"):
        extract.pooled(Maps(), torch.rand(2, 3, 8, 8))


def test_features_depend_on_the_image_and_the_view_only(images: ImageStore) -> None:
    ids = FOLDS["id"].tolist()[:10]
    views = [VIEWS["identity"], VIEWS["hflip"]]
    extractor = Extractor(config(), seed=1)
    before = {name: tensor.clone() for name, tensor in extractor.net.state_dict().items()}
    found = extractor.extract(images, ids, views)
    assert found.values.shape == (10, 2, 96) and found.values.dtype == np.float32
    for name, tensor in extractor.net.state_dict().items():  # batch norm keeps its statistics
        assert torch.equal(tensor, before[name]), name
    alone = Extractor(config(batch_size=1), seed=1).extract(images, ids[::-1], views[::-1])
    np.testing.assert_allclose(found.values, alone.values[::-1, ::-1], atol=1e-4)
    assert not np.allclose(found.values[:, 0], found.values[:, 1])
    other = Extractor(config(), seed=2).extract(images, ids, views)
    assert not np.allclose(found.values, other.values)


def features(**changes: object) -> Features:
    values = {
        "config": {"views": ["identity", "hflip"]},
        "images_sha256": "i",
        "seed": 1,
        "pretrained_sha256": None,
        "pretrained_revision": None,
        "deterministic": True,
        "torch": "2",
        "device": "cpu",
    }
    array = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    return Features(["a", "b", "c\u00e9"], array, EmbeddingProvenance(**(values | changes)))  # type: ignore[arg-type]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, written = tmp_path / "train.parquet", features()
    tables.write(path, written)
    found = tables.read(path)
    assert (found.ids, found.provenance) == (written.ids, written.provenance)
    np.testing.assert_array_equal(found.values, written.values)
    first = path.read_bytes()
    tables.write(path, features())
    assert path.read_bytes() == first


@pytest.mark.parametrize("how", ["missing", "truncated", "foreign", "edited"])
def test_a_damaged_table_is_an_error(tmp_path: Path, how: str) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "train.parquet"
    tables.write(path, features())
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "foreign":
        pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    else:
        table = pq.read_table(path)
        pq.write_table(table.take([1, 0, 2]).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(UserError, match=r"train\.parquet"):
        tables.read(path)


def test_a_batch_that_does_not_fit_is_an_error(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object) -> torch.Tensor:
        raise RuntimeError("CUDA out of memory.")

    monkeypatch.setattr(extract, "pooled", run_out)
    with pytest.raises(UserError, match=r"batch_size: 64 images do not fit .* cpu\. Set 32\."):
        Extractor(config(), seed=1).extract(images, FOLDS["id"].tolist()[:3], [VIEWS["identity"]])
