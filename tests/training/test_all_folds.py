"""A model that is trained on all folds: for how long, on what, and what is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PARAMS
from trainings import EVERYTHING, FOLDS, config, same_weights, training_data

from podium.config.folds import Folds
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.params import schema
from podium.scoring import metrics
from podium.training import build, epochs
from podium.training.checkpoints import Checkpoints
from podium.training.fold import TrainedFold, train_fold
from podium.training.state import TrainState

WITHOUT_FOLD = EVERYTHING | {
    "phases": [{**phase, "init_from": "last"} for phase in EVERYTHING["phases"]]
}


def train_all(
    images: ImageStore, checkpoints: Checkpoints, *, lasts: list[int], **changes: Any
) -> TrainedFold:
    return train_fold(
        config(**({"batch_size": 8, "resize_mode": "squash"} | changes)),
        training_data(images, FOLDS),
        fold="all",
        epochs=lasts,
        seed=1,
        metric=metrics.get("accuracy", "multiclass"),
        checkpoints=checkpoints,
    )


@pytest.mark.parametrize(
    ("folds", "suggested"),
    [
        ([[4], [7], [5]], [5]),
        ([[4], [5]], [5]),  # halves up
        ([[3, 2], [3, 4], [3, 1]], [3, 2]),
        ([[3, 1], [2], [3, 4]], [3, 1]),  # a fold whose best epoch is in the first phase
        ([[3], [2], [3, 4]], [3]),
    ],
)
def test_each_phase_lasts_for_the_median_of_the_folds(
    folds: list[list[int]], suggested: list[int]
) -> None:
    assert epochs.suggested(folds) == suggested


def test_it_trains_on_every_image_for_the_given_epochs_and_keeps_the_last(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = set[int]()
    original = build.loading.Images.__getitems__

    def spy(self: Any, samples: list[Any]) -> Any:
        rows.update(sample.row for sample in samples if sample.epoch)
        return original(self, samples)

    monkeypatch.setattr(build.loading.Images, "__getitems__", spy)
    monkeypatch.setenv("PODIUM_WORKERS", "0")
    phases = [{"epochs": 3, "lr": 0.02, "trainable": "head"}, {"epochs": 9, "lr": 0.02}]
    options: dict[str, Any] = {"phases": phases, "patience": 1}
    best, curves, provenance = train_all(images, Checkpoints(tmp_path), lasts=[2, 1], **options)
    assert [row.phase for row in curves] == [1, 1, 2] and best.epoch == curves[-1]
    assert rows == set(range(len(FOLDS)))
    assert (provenance.fold, provenance.epochs) == ("all", [2, 1])
    assert all(row.score is None and row.valid_loss is None for row in curves)
    # The schedule is that of the folds, cut off: the learning rate has not come down.
    assert curves[-1].lr == pytest.approx(0.02, rel=0.05)


def test_its_training_resumes_with_the_same_bytes(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = WITHOUT_FOLD | {"average_checkpoints": {"last": 2}}
    whole = train_all(images, Checkpoints(tmp_path / "whole"), lasts=[1, 2], **options).best
    assert whole.averaged == [2, 3]
    original = TrainState.end_epoch

    def killed(state: TrainState, *args: Any, **others: Any) -> bool:
        if state.epoch == 2:
            raise KeyboardInterrupt
        return original(state, *args, **others)

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "end_epoch", killed)
        with pytest.raises(KeyboardInterrupt), Checkpoints(tmp_path / "x") as checkpoints:
            train_all(images, checkpoints, lasts=[1, 2], **options)
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed = train_all(images, checkpoints, lasts=[1, 2], **options).best
    assert same_weights(resumed.weights, whole.weights)


def test_its_normalization_of_targets_and_class_weights_use_all_images(images: ImageStore) -> None:
    data = training_data(images, FOLDS)
    run = build.build(config(batch_size=8), data, fold="all", seed=1, epochs=[1])
    assert run.loaders.valid is None
    assert run.loaders.train.dataset.ids == FOLDS["id"].tolist()
    targets = data.task.targets(FOLDS["label"].tolist())
    assert np.array_equal(run.loaders.train.dataset.targets.numpy(), targets)
    assert torch.is_tensor(run.loaders.train.dataset.targets)


def test_its_folds_are_those_that_run_and_all() -> None:
    folds = Folds(count=3, run=[2, 0], all=["a"], subsample={})
    assert folds.of("a") == [0, 2, "all"] and folds.of("b") == [0, 2]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"phases": [{"epochs": 1, "lr": 0.1}, {"epochs": 1, "lr": 0.1, "init_from": "best"}]},
         r"init_from: best requires a held-out fold"),
        ({"phases": [{"epochs": 1, "lr": 0.1, "schedule": "plateau"}]},
         r"schedule: plateau requires a held-out fold"),
        ({"phases": [{"epochs": 2, "lr": 0.1}], "average_checkpoints": {"best": 2}},
         r"average_checkpoints\.best requires a held-out fold"),
        ({"pseudo_labels": {"folder": "data/pseudo/x"}},
         r"models\.a\.pseudo_labels: each fold has its own labels, and all folds have none"),
    ],
)  # fmt: skip
def test_what_needs_a_held_out_fold_is_an_error(changes: dict[str, Any], problem: str) -> None:
    params = PARAMS | {
        "folds": PARAMS["folds"] | {"all": ["a"]},
        "models": {"a": PARAMS["models"]["a"] | changes},
    }
    with pytest.raises(UserError, match=rf"folds\.all\[0\].*{problem}"):
        schema.validate(params)
    schema.validate(params | {"folds": PARAMS["folds"]})


def test_all_folds_are_for_models_only() -> None:
    with pytest.raises(UserError, match=r"folds\.all\[0\].*unknown model b"):
        schema.validate(PARAMS | {"folds": PARAMS["folds"] | {"all": ["b"]}})
