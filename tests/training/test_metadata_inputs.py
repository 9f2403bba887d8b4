"""Training on metadata next to the images."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from trainings import FOLDS, components, config, same_weights, train, training_data

from podium.config.predict import Predict
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.metadata.encoding import Encoding
from podium.models import factory, inputs, layers, weights
from podium.prediction.predictor import Predictor
from podium.training.build import TrainingData

IDS = FOLDS["id"].tolist()
PHASES = [{"epochs": 5, "lr": 0.03}]


def with_metadata(images: ImageStore, columns: dict[str, Any] | None = None) -> TrainingData:
    """Training data whose labels are shuffled, so that only the metadata tell them."""
    rng = np.random.default_rng(0)
    folds = FOLDS.assign(label=rng.permutation(FOLDS["label"]))
    hints = {"shape": folds["label"].str.upper().tolist(), "size": rng.normal(size=len(folds))}
    table = pd.DataFrame(hints if columns is None else columns, index=IDS)
    return training_data(images, folds)._replace(metadata=table)


def test_the_network_learns_from_metadata(images: ImageStore) -> None:
    trained = train(images, data=with_metadata(images), phases=PHASES, metadata={})
    assert trained.best.epoch.score > 0.9  # by chance: a third


def test_the_encoding_is_that_of_the_training_folds(images: ImageStore) -> None:
    data = with_metadata(images)
    assert data.metadata is not None
    changed = data.metadata.copy()
    changed.loc[FOLDS["fold"].eq(0).to_numpy(), "size"] = 1e6
    first = train(images, data=data, metadata={})
    second = train(images, data=data._replace(metadata=changed), metadata={})
    assert same_weights(first.best.weights, second.best.weights)
    assert first.provenance == second.provenance
    rows = FOLDS["fold"] != 0
    assert Encoding.of(first.provenance) == Encoding.fit(data.metadata[rows.to_numpy()])


def test_an_interrupted_run_and_one_with_workers_give_the_same_weights(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = with_metadata(images)
    options: dict[str, Any] = {"metadata": {}, "mix": {"mixup_alpha": 0.4}, "augment": "light"}
    alone = train(images, data=data, **options)
    monkeypatch.setenv("PODIUM_WORKERS", "2")
    assert same_weights(train(images, data=data, **options).best.weights, alone.best.weights)


def test_a_mixed_image_has_mixed_metadata(images: ImageStore) -> None:
    options = {"mix": {"mixup_alpha": 1.0}, "metadata": {}}
    run = components(images, data=with_metadata(images), **options)
    batch = next(iter(run.loaders.train))
    before = batch.inputs["metadata"].clone()
    mixed, targets = run.mixer(run.preprocess(batch.inputs), batch.targets)
    for row in range(len(before)):
        other = len(before) - 1 - row
        lam = targets[row, batch.targets[row]]
        if batch.targets[row] != batch.targets[other]:
            expected = lam * before[row] + (1 - lam) * before[other]
            assert torch.allclose(mixed["metadata"][row], expected, atol=1e-5)


def test_saved_weights_predict_what_was_validated(images: ImageStore, tmp_path: Any) -> None:
    data = with_metadata(images)
    trained = train(images, data=data, phases=PHASES, metadata={})
    path = tmp_path / "weights.safetensors"
    weights.save(path, trained.best.weights, trained.provenance)
    predictor = Predictor(path, Predict(views=["identity"], batch_size=7))
    held_out = data.folds[data.folds["fold"] == 0]
    ids = held_out["id"].tolist()
    predicted = predictor.predict(images, ids, data.metadata)
    right = predicted.logits.argmax(axis=1) == data.task.targets(held_out["label"].tolist())
    assert right.mean() == pytest.approx(trained.best.epoch.score)
    with pytest.raises(UserError, match="have no metadata"):
        predictor.predict(images, ids, data.metadata[:0])  # type: ignore[index]
    with pytest.raises(UserError, match="metadata"):
        predictor.predict(images, ids)


def test_the_head_of_metadata_is_a_head() -> None:
    net = factory.create(config(metadata={}), outputs=3, metadata_size=5)
    plain = factory.create(config(), outputs=3)
    depth = layers.depths(net)
    assert {name for name in depth if name.startswith("metadata_head")} == {
        f"metadata_head.{layer}.{part}"
        for layer in ("hidden", "output")
        for part in ("weight", "bias")
    }
    assert {n: d for n, d in depth.items() if n.startswith("metadata_head")}.keys() <= {
        name for name, at in depth.items() if at == 0
    }
    assert {n: d for n, d in depth.items() if not n.startswith("metadata_head")} == layers.depths(
        plain
    )
    layers.set_trainable(net, "head")
    assert net.get_parameter("metadata_head.hidden.weight").requires_grad
    assert not any(net.get_parameter(name).requires_grad for name, at in depth.items() if at)
    images, columns = torch.rand(2, 3, 32, 32), torch.rand(2, 5)
    both = inputs.forward(net.eval(), {"image": images, "metadata": columns})
    assert torch.equal(both, net(images))  # it starts at zero


def test_columns_are_required(images: ImageStore) -> None:
    with pytest.raises(UserError, match=r"metadata requires columns\. Set prepare\.features"):
        train(images, data=with_metadata(images, {}), metadata={})


def test_a_batch_contains_the_rows_of_its_images(images: ImageStore) -> None:
    data = with_metadata(images)
    run = components(images, data=data, metadata={})
    assert run.encoding is not None and data.metadata is not None
    sampler = run.loaders.train.batch_sampler
    for step, batch in enumerate(run.loaders.train):
        ids = [run.loaders.train.dataset.ids[sample.row] for sample in sampler.batch(step)]
        assert batch.inputs["metadata"].tolist() == run.encoding.encode(data.metadata, ids).tolist()
    assert run.loaders.valid is not None
    valid = [batch.inputs["metadata"] for batch in run.loaders.valid]
    expected = run.encoding.encode(data.metadata, run.loaders.valid.dataset.ids)
    assert torch.cat(valid).tolist() == expected.tolist()
