"""Checkpoint averaging: which epochs are averaged, and what is saved."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Project
from torch import Tensor, nn
from trainings import components, config, same_weights, train

from podium.images.store import ImageStore
from podium.models import layers
from podium.scoring import metrics
from podium.training import averaging, loop
from podium.training.checkpoints import Checkpoints
from podium.training.epochs import Best, Epoch, to_average
from podium.training.state import TrainState, copy_weights

ACCURACY = metrics.get("accuracy", "multiclass")
PHASES = [{"epochs": 1, "lr": 0.02}, {"epochs": 4, "lr": 0.02, "batch_norm": "none"}]


ROW = Epoch(1, 1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, None, 1, 9.0, 1.0)


class Recorder:
    """The weights after each epoch of the trainings that follow, and their ranks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.ranks: list[tuple[float, float]] = []
        original = TrainState.end_epoch

        def spy(state: TrainState, *args: Any, **options: Any) -> bool:
            self.weights.append(copy_weights(state.evaluated_model))
            is_best = original(state, *args, **options)
            row = state.curves[-1]
            self.ranks.append((row.score, -row.valid_loss))
            return is_best

        monkeypatch.setattr(TrainState, "end_epoch", spy)


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def check_mean(best: Best, epochs: Recorder) -> None:
    """Whether the weights are the mean of those of the epochs that it names."""
    chosen = [epochs.weights[number - 1] for number in best.averaged]
    for name, tensor in best.weights.items():
        if tensor.is_floating_point():
            expected = torch.stack([weights[name].double() for weights in chosen]).mean(0)
            assert torch.equal(tensor, expected.float()), name


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_the_last_epochs_of_the_last_phase_are_averaged(
    images: ImageStore, epochs: Recorder, ema_decay: float | None
) -> None:
    best = train(images, phases=PHASES, ema_decay=ema_decay, average_checkpoints={"last": 3}).best
    assert best.averaged == [3, 4, 5] and best.epoch.epoch == 5
    check_mean(best, epochs)


def test_the_best_epochs_of_the_last_phase_are_averaged(
    images: ImageStore, epochs: Recorder
) -> None:
    best = train(images, phases=PHASES, average_checkpoints={"best": 2}).best
    numbers = sorted([2, 3, 4, 5], key=lambda number: epochs.ranks[number - 1])
    assert best.averaged == sorted(numbers[-2:])
    check_mean(best, epochs)


def test_the_best_epochs_are_in_the_order_of_training() -> None:
    epochs = [Best(ROW, (0.9, -loss), {}) for loss in (0.3, 0.2, 0.5, 0.1, 0.4)]
    epochs = [replace(e, epoch=replace(ROW, epoch=number)) for number, e in enumerate(epochs, 1)]
    for count, expected in ((2, [2, 4]), (3, [1, 2, 4])):
        model = config(average_checkpoints={"best": count}, phases=[{"epochs": 5, "lr": 0.1}])
        assert [e.epoch.epoch for e in to_average(epochs, model)] == expected


def test_a_phase_that_ends_early_averages_the_epochs_that_it_has(
    images: ImageStore,
) -> None:
    still = {"epochs": 9, "lr": 1e-12, "trainable": "head"}
    best, curves, _ = train(
        images, phases=[still, still], patience=2, average_checkpoints={"last": 3}
    )
    assert [row.phase for row in curves] == [1, 1, 1, 2, 2]
    assert best.averaged == [4, 5]


def test_the_score_is_that_of_the_average(images: ImageStore) -> None:
    best, curves, _ = train(images, phases=PHASES, average_checkpoints={"last": 3})
    run = components(images, phases=PHASES, image_size=32)
    state = TrainState(run)
    state.net.load_state_dict(best.weights)
    scores = loop.evaluate(run, state, metric=ACCURACY)
    assert (best.epoch.score, best.epoch.valid_loss) == (scores["score"], scores["valid_loss"])
    assert best.epoch.valid_loss not in [row.valid_loss for row in curves]


def test_batch_norm_gets_the_statistics_of_the_averaged_weights(
    images: ImageStore, tmp_path: Path
) -> None:
    """The first layer's are the mean over the batches, computed here from its convolution."""
    run = components(images, phases=[{"epochs": 3, "lr": 0.05}], average_checkpoints={"last": 3})
    state = TrainState(run)
    loop.train(run, state, metric=ACCURACY, checkpoints=Checkpoints(tmp_path))
    best = averaging.average(run, state, metric=ACCURACY)
    modules = dict(reversed([(type(module), name) for name, module in state.net.named_modules()]))
    conv = state.net.get_submodule(modules[nn.Conv2d])
    maps = []
    for batch in run.loaders.train:
        with torch.inference_mode():
            maps.append(conv(run.preprocess(batch.inputs)["image"]).transpose(0, 1).flatten(1))
    expected = torch.stack([values.mean(1) for values in maps]).mean(0)
    variances = torch.stack([values.var(1) for values in maps]).mean(0)
    name = modules[nn.BatchNorm2d]
    assert torch.allclose(best.weights[f"{name}.running_mean"], expected, atol=1e-4)
    assert torch.allclose(best.weights[f"{name}.running_var"], variances, rtol=1e-3)
    of_epochs = [kept.weights[f"{name}.running_mean"] for kept in state.kept]
    assert not torch.allclose(torch.stack(of_epochs).mean(0), expected, atol=1e-3)
    norm = state.net.get_submodule(name)
    assert isinstance(norm, nn.BatchNorm2d) and norm.momentum == 0.1


def test_frozen_batch_norm_keeps_its_statistics(images: ImageStore) -> None:
    phases = [{"epochs": 2, "lr": 0.05}, {"epochs": 2, "lr": 0.05, "trainable": "head"}]
    best = train(images, phases=phases, head="batch_norm", average_checkpoints={"last": 2}).best
    without = train(images, phases=phases[:1], head="batch_norm").best
    names = [name for name in best.weights if "running" in name]
    net = components(images, head="batch_norm").net
    for name in names:
        is_same = torch.equal(best.weights[name], without.weights[name])
        assert is_same != layers.is_head(net, name), name


def test_an_interrupted_average_is_repeated_with_the_same_bytes(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "phases": [{"epochs": 3, "lr": 0.02}],
        "average_checkpoints": {"best": 2},
        "dropout": 0.5,
        "augment": "light",
        "mix": {"mixup_alpha": 0.5},
    }
    whole = train(images, Checkpoints(tmp_path / "whole"), **options).best

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(averaging, "estimate_batch_norm", interrupted)
        with pytest.raises(KeyboardInterrupt), Checkpoints(tmp_path / "x") as checkpoints:
            train(images, checkpoints, **options)
    monkeypatch.setattr(loop, "train_epoch", interrupted)  # nothing is left to train
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed = train(images, checkpoints, **options).best
    assert same_weights(resumed.weights, whole.weights)
    assert resumed.averaged == whole.averaged
    assert resumed.epoch.score == whole.epoch.score


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"last": 1}, "greater than or equal to 2"),
        ({}, "set either last or best"),
        ({"last": 2, "best": 2}, "set either last or best"),
        ({"best": 3}, "the last phase has only 2 epochs, not 3"),
    ],
)
def test_a_selection_that_makes_no_average_is_an_error(
    options: dict[str, int], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        config(average_checkpoints=options, phases=[{"epochs": 2, "lr": 0.1}])


@pytest.mark.slow
def test_the_metrics_name_the_averaged_epochs(prepared: Project) -> None:
    change = {"phases": [{"epochs": 3, "lr": 0.005}], "average_checkpoints": {"last": 2}}
    prepared.edit(lambda params: params["models"]["a"].update(change))
    done = prepared.stage("train", "--model", "a", "--fold", "0")
    assert done.returncode == 0, done.stdout
    scores = json.loads(prepared.read("metrics/a/fold0.json"))
    assert (scores["epoch"], scores["averaged_epochs"]) == (3, [2, 3])
    assert f"average of epochs 2, 3  valid loss {scores['valid_loss']:.4f}" in done.stdout
