"""A device that a batch does not fit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from provenances import training
from trainings import FOLDS, components
from trainings import config as model_config
from trainings import train as train_model

from podium.config.predict import Predict
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.models import factory, weights
from podium.models.simple_cnn import SimpleCNN
from podium.prediction.predictor import Predictor
from podium.training import memory
from podium.training.checkpoints import Checkpoints
from podium.training.fold import TrainedFold

EVER = 10**9


def train(images: ImageStore, folder: Path, **changes: Any) -> TrainedFold:
    """Train without batch norm, so that the gradients of micro-batches add up to the batch's."""
    values = {"architecture": "simple_cnn", "batch_size": 16, "class_weights": "balanced"}
    values |= {"phases": [{"epochs": 2, "lr": 0.003}]}
    with Checkpoints(folder) as checkpoints:
        # Two classes have an image more than the third.
        return train_model(images, checkpoints, folds=FOLDS.iloc[:100], **(values | changes))


def limit(
    monkeypatch: pytest.MonkeyPatch,
    *,
    training: int = EVER,
    inference: int = EVER,
    after: int = 0,
) -> list[int]:
    """Let the model run out of memory, with torch's own error, for more images than this, `after`
    so many training batches. Returns the sizes of the training batches that fitted.
    """
    forward, sizes = SimpleCNN.forward, list[int]()

    def limited(self: SimpleCNN, images: torch.Tensor) -> torch.Tensor:
        max_images = training if self.training else inference
        if len(sizes) >= after and len(images) > max_images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        if self.training:
            sizes.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(SimpleCNN, "forward", limited)
    return sizes


def test_a_batch_that_does_not_fit_is_an_error_that_suggests_a_size_before_the_first_epoch(
    images: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit(monkeypatch, training=5)
    with pytest.raises(UserError, match=r"batch_size: 4 with grad_accum_steps: 8 .*32"):
        train(images, tmp_path / "x", grad_accum_steps=2)
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("inference", [EVER, 5], ids=["", "neither fits"])
def test_micro_batches_train_like_the_whole_batch(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inference: int
) -> None:
    """Validation batches that do not fit either are split as well."""
    whole = train(images, tmp_path / "x")
    assert whole.provenance.micro_batches == 1
    limit(monkeypatch, training=5, inference=inference)
    split = train(images, tmp_path / "y", on_oom="accumulate")
    assert split.provenance.micro_batches == 4
    losses, expected = ([row.train_loss for row in run.curves] for run in (split, whole))
    assert losses == pytest.approx(expected, rel=1e-4)
    assert [row.score for row in split.curves] == [row.score for row in whole.curves]
    for name, tensor in whole.best.weights.items():
        assert torch.allclose(tensor, split.best.weights[name], rtol=1e-3, atol=1e-4), name


def test_validation_batches_that_do_not_fit_are_split_without_affecting_training(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(images, tmp_path / "x")
    limit(monkeypatch, inference=5)
    split = train(images, tmp_path / "y", on_oom="accumulate")
    assert split.provenance.micro_batches == 1
    assert [r.train_loss for r in split.curves] == [r.train_loss for r in whole.curves]
    losses, expected = ([row.valid_loss for row in run.curves] for run in (split, whole))
    assert losses == pytest.approx(expected, rel=1e-5)


def test_a_micro_batch_has_at_least_two_images(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image has no batch statistics."""
    with monkeypatch.context() as patch:
        sizes = limit(patch, training=3)
        _, curves, _ = train(images, tmp_path / "x", on_oom="accumulate", batch_size=10)
        assert set(sizes) == {2, 3} and {row.micro_batches for row in curves} == {4}
    limit(monkeypatch, training=0)
    with pytest.raises(UserError, match="2 images do not fit"):
        train(images, tmp_path / "y", on_oom="accumulate")


def test_memory_that_runs_out_in_the_second_epoch_costs_no_epoch(
    images: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As on a device that another process fills."""
    limit(monkeypatch, training=8, after=6)
    _, curves, _ = train(images, tmp_path / "x", on_oom="accumulate")
    output = capsys.readouterr().out
    assert output.count("epoch   1") == 1 and "resuming from checkpoint" in output
    assert [row.micro_batches for row in curves] == [1, 2]


def test_other_errors_are_raised(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("a bug")

    monkeypatch.setattr(SimpleCNN, "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train(images, tmp_path / "x", on_oom="accumulate")


def test_a_prediction_batch_that_does_not_fit_is_an_error_that_suggests_a_size(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model_config(architecture="simple_cnn", resize_mode="squash")
    weights.save(
        tmp_path / "w",
        factory.create(config, outputs=3).state_dict(),
        training(config=config.model_dump()),
    )
    predictor = Predictor(tmp_path / "w", Predict(views=["identity"], batch_size=8))
    limit(monkeypatch, inference=0)
    with pytest.raises(UserError, match=r"predict\.batch_size: 8 .*4"):
        predictor.predict(images, FOLDS["id"].tolist())


def test_the_heaviest_phase_of_each_optimizer_is_tried(images: ImageStore) -> None:
    head, part = ({"epochs": 1, "lr": 0.1, "trainable": t} for t in ("head", {"last": 1}))
    phases = [head, {**part, "optimizer": "sgd"}, {"epochs": 1, "lr": 0.1}, part]
    assert memory.heaviest_phases(components(images, phases=phases)) == [1, 2]


def holds(max_images: int, tried: list[int]) -> Callable[[int], float]:
    """A device with memory for so many images."""

    def memory_share(batch_size: int) -> float:
        tried.append(batch_size)
        return math.inf if batch_size > max_images else batch_size / max_images

    return memory_share


@pytest.mark.parametrize(
    ("capacity", "max_images", "expected"),
    [(100, 900, 64), (64, 900, 32), (72, 900, 64), (9999, 90, 64)],
)
def test_the_largest_batch_is_a_power_of_two_within_nine_tenths_of_the_memory(
    capacity: int, max_images: int, expected: int
) -> None:
    size = memory.largest_batch(holds(capacity, []), max_size=max_images, may_run_out=True)
    assert size == expected


def test_where_memory_must_not_run_out_no_size_is_tried_that_could_be_too_large() -> None:
    tried: list[int] = []
    assert memory.largest_batch(holds(100, tried), max_size=900, may_run_out=False) == 64
    assert tried == [2, 4, 8, 16, 32, 64]
    assert memory.largest_batch(holds(100, tried), max_size=900, may_run_out=True) == 64
    assert tried[6:] == [2, 4, 8, 16, 32, 64, 128]


def test_a_model_that_does_not_fit_at_all_is_an_error() -> None:
    with pytest.raises(UserError, match="2 images do not fit"):
        memory.largest_batch(lambda _: math.inf, max_size=900, may_run_out=True)


@pytest.mark.slow
def test_larger_batches_need_more_memory(images: ImageStore) -> None:
    trial = memory.Trial(components(images, mix={"mixup_alpha": 0.2}, head="batch_norm"))
    small, large = trial.memory_share(2), trial.memory_share(512)
    assert 0 < small < large < 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_full_gpu_is_detected_and_left_usable(images: ImageStore) -> None:
    trial = memory.Trial(components(images))
    assert trial.memory_share(10**8) == math.inf
    assert trial.memory_share(4) < 0.9
