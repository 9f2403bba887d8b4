"""A device that a batch does not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from provenances import training
from trainings import FOLDS, data_of
from trainings import config as model_config

from podium.config.predict import Predict
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.models import factory, weights
from podium.models.simple_cnn import SimpleCNN
from podium.prediction.predictor import Predictor
from podium.scoring import metrics
from podium.training import fold, state
from podium.training.checkpoints import Checkpoints


def train(
    images: ImageStore,
    folder: Path,
    **changes: Any,
) -> tuple[state.Best, list[state.Epoch], dict[str, Any]]:
    """A model without batch norm, so that pieces of a batch add up to the batch."""
    values = {
        "architecture": "simple_cnn",
        "batch_size": 16,
        "image_size": 32,
        "resize_mode": "squash",
    }
    values |= {"phases": [{"epochs": 2, "lr": 0.003}], "class_weights": "balanced"}
    with Checkpoints(folder) as checkpoints:
        return fold.train_fold(
            model_config(**(values | changes)),
            data_of(images, FOLDS.iloc[:100]),  # two classes have an image more than the third
            fold=0,
            seed=1,
            metric=metrics.get("accuracy", "multiclass"),
            checkpoints=checkpoints,
        )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which the model holds at most five images; torch's own error beyond."""
    forward = SimpleCNN.forward

    def limited(self: SimpleCNN, values: torch.Tensor) -> torch.Tensor:
        if self.training and len(values) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(self, values)

    monkeypatch.setattr(SimpleCNN, "forward", limited)


def test_too_large_a_batch_is_an_error_that_names_the_size_that_fits(
    images: ImageStore,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue("small")
    with pytest.raises(UserError) as error:
        train(images, tmp_path / "x", grad_accum_steps=2)
    assert str(error.value) == (
        "batch_size: 16 does not fit cpu; 4 does. With accumulate: 8 beside it a step of the "
        "weights sees 32 images; or set on_oom: accumulate"
    )


@pytest.mark.slow
def test_it_can_be_taken_in_pieces_that_train_like_the_whole(
    images: ImageStore,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, curves, provenance = train(images, tmp_path / "x")
    assert provenance.micro_batches == 1
    request.getfixturevalue("small")
    capsys.readouterr()
    best, found, provenance = train(images, tmp_path / "y", on_oom="accumulate")
    assert provenance.micro_batches == 4
    told = capsys.readouterr().out
    assert "warning: 16 images do not fit cpu: splitting each batch into 2 micro-batches" in told
    assert "warning: 8 images do not fit cpu: splitting each batch into 4 micro-batches" in told
    assert [r.train_loss for r in found] == pytest.approx([r.train_loss for r in curves], rel=1e-4)
    assert [r.score for r in found] == [r.score for r in curves]
    for name, tensor in whole.state.items():
        assert torch.allclose(tensor, best.state[name], rtol=1e-3, atol=1e-4), name


def full(*_: Any) -> torch.Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


@pytest.mark.slow
def test_no_piece_is_a_single_image(
    images: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which has no batch statistics."""
    forward, sizes = SimpleCNN.forward, set[int]()

    def limited(self: SimpleCNN, values: torch.Tensor) -> torch.Tensor:
        if self.training and len(values) > 3:
            full()
        sizes.update([len(values)] if self.training else [])
        return forward(self, values)

    monkeypatch.setattr(SimpleCNN, "forward", limited)
    _, curves, _ = train(images, tmp_path / "x", on_oom="accumulate", batch_size=10)
    assert sizes == {2, 3} and {row.micro_batches for row in curves} == {4}
    monkeypatch.setattr(SimpleCNN, "forward", full)
    with pytest.raises(UserError, match="not even 2 images fit cpu"):
        train(images, tmp_path / "y", on_oom="accumulate")


@pytest.mark.slow
def test_what_was_trained_before_it_is_not_lost(
    images: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Memory that runs out in the second epoch, as with a device that another process fills."""
    forward, calls = SimpleCNN.forward, 0

    def filled(self: SimpleCNN, values: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += self.training
        if calls > 6 and self.training and len(values) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(self, values)

    monkeypatch.setattr(SimpleCNN, "forward", filled)
    _, curves, _ = train(images, tmp_path / "x", on_oom="accumulate")
    told = capsys.readouterr().out
    assert told.count("epoch   1") == 1 and "going on from a checkpoint after" in told
    assert [row.micro_batches for row in curves] == [1, 2]


def test_other_errors_are_not_taken_for_it(
    images: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("a bug")

    monkeypatch.setattr(SimpleCNN, "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train(images, tmp_path / "x")


def test_too_large_a_batch_of_inference_is_an_error_too(
    images: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = model_config(architecture="simple_cnn", image_size=32, resize_mode="squash")
    weights.save(
        tmp_path / "w",
        factory.create(made, outputs=3).state_dict(),
        training(config=made.model_dump()),
    )
    predictor = Predictor(tmp_path / "w", Predict(views=["identity"], batch_size=8))
    monkeypatch.setattr(SimpleCNN, "forward", full)
    with pytest.raises(UserError, match=r"predict.batch_size: 8 does not fit cpu: try 4"):
        predictor.predict(images, FOLDS["id"].tolist())
