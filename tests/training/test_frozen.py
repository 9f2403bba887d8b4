"""A first phase that trains the head alone computes the features of each image once."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from trainings import FOLDS, components, same_weights, train, training_data

from podium.core.errors import Stopped
from podium.images.store import ImageStore
from podium.models import inputs
from podium.training import frozen, loop, worst
from podium.training.build import Components
from podium.training.checkpoints import Checkpoints
from podium.training.fold import TrainedFold
from podium.training.printing import Reporter
from podium.training.state import TrainState

HEAD = {"epochs": 3, "lr": 0.01, "trainable": "head"}
PHASES = [HEAD, {"epochs": 1, "lr": 0.001}]
STEPS = 11


def uncached(images: ImageStore, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> TrainedFold:
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "MAX_BYTES", 0)
        return train(images, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.5},
        {"architecture": "test_efficientnet", "dropout": 0.2, "head": "batch_norm"},
        {"architecture": "simple_cnn"},
        {"embedding_size": 5},
        {"architecture": "test_vit", "image_size": 160, "loss": "arcface"},
        {"ema_decay": 0.9, "sampling": "balanced", "grad_accum_steps": 2, "patience": 1},
        {"phases": [HEAD], "average_checkpoints": {"last": 2}, "pool": "catavgmax"},
    ],
    ids=str,
)
def test_cached_features_give_the_same_training(
    images: ImageStore,
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = {"phases": PHASES} | changes
    expected = uncached(images, monkeypatch, **changes)
    assert "features of" not in capsys.readouterr().out
    found = train(images, **changes)
    assert "phase 1 trains the head on the features of 120 images" in capsys.readouterr().out
    for mine, theirs in zip(found.curves, expected.curves, strict=True):
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
        assert mine.valid_loss == pytest.approx(theirs.valid_loss, rel=1e-3)
    for name, values in expected.best.weights.items():
        assert torch.allclose(found.best.weights[name].float(), values.float(), atol=1e-3), name


def test_the_backbone_sees_each_image_once(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {inputs.FEATURES: 0, 4: 0}
    original = inputs.Preprocess.__call__

    def spy(self: inputs.Preprocess, batch: inputs.Inputs) -> inputs.Inputs:
        if "image" in batch:  # what they share has its own call
            counts[batch["image"].ndim] += len(batch["image"])
        return original(self, batch)

    monkeypatch.setattr(inputs.Preprocess, "__call__", spy)
    train(images, phases=[HEAD])
    verified = 8 + 8  # a training step and a validation batch
    compared = 2 * 8  # one batch, by itself and with its features
    assert counts[4] == 90 + 30 + verified + compared
    assert counts[inputs.FEATURES] == 3 * (STEPS * 8 + 30) + 8


def test_metadata_is_used_next_to_the_features(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = FOLDS["label"].astype("category").cat.codes.to_numpy(float)
    table = pd.DataFrame({"age": labels}, index=FOLDS["id"].tolist())
    data = training_data(images, FOLDS)._replace(metadata=table)
    changes = {"phases": [HEAD | {"epochs": 6}], "metadata": {"dropout": 0.5}, "data": data}
    expected, found = uncached(images, monkeypatch, **changes), train(images, **changes)
    assert found.curves[-1].valid_loss == pytest.approx(expected.curves[-1].valid_loss, rel=1e-3)
    alone = train(images, phases=[HEAD | {"epochs": 6}])
    assert found.curves[-1].valid_loss < 0.9 * alone.curves[-1].valid_loss


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": "light"},
        {"phases": [HEAD | {"augment": "light"}]},
        {"mix": {"mixup_alpha": 0.2}},
        {"random_erasing": 0.5},
        {"drop_path": 0.5},
        {"pool": "gem"},
        {"shards": 2},
        {"phases": [HEAD | {"batch_norm": "all"}]},
        {"phases": [HEAD | {"trainable": "norms"}]},
        {"phases": [HEAD | {"trainable": {"last": 1}}]},
        {"phases": [HEAD | {"epochs": 1}]},
        {"epochs": [1, 1]},  # of a model of all folds
    ],
    ids=str,
)
def test_what_changes_the_features_is_trained_on_images(
    images: ImageStore, changes: dict[str, Any]
) -> None:
    epochs = changes.pop("epochs", None)
    run = components(images, **{"phases": PHASES} | changes)
    run = run._replace(epochs=epochs or run.epochs)
    assert frozen.with_features(run, TrainState(run)) is run


def test_dropout_in_the_backbone_is_noticed(images: ImageStore) -> None:
    run = components(images, phases=PHASES)
    assert frozen.with_features(run, TrainState(run)) is not run
    run.net.layer1.register_module("after", torch.nn.Dropout(0.1))
    assert frozen.with_features(run, TrainState(run)) is run


def test_a_convolution_as_classifier_trains_on_images(images: ImageStore) -> None:
    run = components(images, architecture="dla34", phases=[HEAD])
    assert frozen.with_features(run, TrainState(run)) is run


def test_only_the_first_phase_uses_features(images: ImageStore) -> None:
    """After the backbone has trained, that of the EMA model is another one."""
    run = components(images, phases=[{"epochs": 1, "lr": 0.01}, HEAD], ema_decay=0.9)
    assert frozen.with_features(run, TrainState(run, phase=1)) is run


def test_gradual_unfreezing_starts_with_features(images: ImageStore) -> None:
    gradual = {"epochs": 4, "lr": 0.01, "trainable": {"gradual": 2}}
    run = components(images, phases=[gradual])
    assert frozen.with_features(run, TrainState(run)) is not run
    assert frozen.with_features(run, TrainState(run, phase=1)) is run


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", [3, STEPS + 5, 2 * STEPS, 3 * STEPS + 2])
def test_a_resumed_run_gives_the_same_weights(
    tmp_path: Path, images: ImageStore, step: int, whole: TrainedFold
) -> None:
    class KilledAtStep(Checkpoints):
        def due(self, **_: object) -> bool:
            return True

        def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
            super().save(state, wait=wait)
            if state["progress"]["global_step"] == step:
                raise Killed

    with pytest.raises(Killed), KilledAtStep(tmp_path / "x") as checkpoints:
        train(images, checkpoints, phases=PHASES, dropout=0.5)
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed = train(images, checkpoints, phases=PHASES, dropout=0.5)
    assert same_weights(resumed.best.weights, whole.best.weights)
    assert np.array_equal(
        [row.valid_loss for row in resumed.curves], [row.valid_loss for row in whole.curves]
    )


@pytest.mark.parametrize("uses_features", [True, False])
def test_a_resumed_run_keeps_the_decision(
    tmp_path: Path, images: ImageStore, uses_features: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding, which the decision depends on, may be other in the other process."""
    seen = list[bool]()
    original = loop.train_epoch

    def spy(run: Components, state: TrainState) -> Any:
        if run.loaders.train.batch_sampler.count == 90:  # not that of the verification
            seen.append(run.features is not None)
        return original(run, state)

    class KilledAfterEpoch(Checkpoints):
        def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
            super().save(state, wait=wait)
            raise Killed

    monkeypatch.setattr(loop, "train_epoch", spy)
    monkeypatch.setattr(frozen, "applies", lambda *_: uses_features)
    with pytest.raises(Killed), KilledAfterEpoch(tmp_path / "x") as checkpoints:
        train(images, checkpoints, phases=PHASES)
    monkeypatch.setattr(frozen, "applies", lambda *_: not uses_features)
    with Checkpoints(tmp_path / "x") as checkpoints:
        train(images, checkpoints, phases=PHASES)
    assert seen == [*[uses_features] * 3, False]


@pytest.mark.parametrize(("where", "steps"), [("_features", 0), ("picture", 4 * STEPS)])
def test_a_signal_outside_of_epochs_leaves_a_checkpoint(
    tmp_path: Path, images: ImageStore, where: str, steps: int, whole: TrainedFold,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """While features are computed, and while a tracker's image is drawn after the last epoch, when
    a large checkpoint may be some epochs old.
    """

    class Seldom(Checkpoints):
        def due(self, **_: object) -> bool:
            return False

    class Draws(Reporter):
        def finish(self, _: TrainState, draw: Any) -> None:
            draw()

    def stop(*_: object) -> None:
        raise Stopped("SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(frozen if where == "_features" else worst, where, stop)
        with pytest.raises(Stopped), Seldom(tmp_path / "x") as checkpoints:
            train(images, checkpoints, reporter=Draws(), phases=PHASES, dropout=0.5)
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed = train(images, checkpoints, phases=PHASES, dropout=0.5)
    assert f"resuming from checkpoint at step {steps}\n" in capsys.readouterr().out
    assert same_weights(resumed.best.weights, whole.best.weights)
    assert len(resumed.curves) == len(whole.curves)


@pytest.fixture(scope="module")
def whole(images: ImageStore) -> TrainedFold:
    return train(images, phases=PHASES, dropout=0.5)
