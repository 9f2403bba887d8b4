"""Settings are verified before the first epoch, and verifying them changes nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from trainings import EVERYTHING, FOLDS, components, same_weights, train

from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.scoring import metrics
from podium.training import loop, preflight
from podium.training.checkpoints import Checkpoints
from podium.training.state import TrainState, copy_weights


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_verifying_leaves_weights_statistics_and_training_untouched(
    images: ImageStore, tmp_path: Path, changes: dict[str, Any]
) -> None:
    metric = metrics.get("accuracy", "multiclass")
    weights = []
    for verified in (False, True):
        run = components(images, **{"image_size": 32} | changes)
        if verified:
            initial = copy_weights(run.net)
            with Checkpoints(tmp_path / "x") as checkpoints:
                preflight.verify(run, metric=metric, checkpoints=checkpoints)
                assert not any((tmp_path / "x").glob("*.ckpt"))
            assert same_weights(copy_weights(run.net), initial)
            assert all(parameter.grad is None for parameter in run.net.parameters())
        state = TrainState(run)
        loop.train(run, state, metric=metric, checkpoints=Checkpoints(tmp_path / "y"))
        assert state.best is not None
        weights.append((copy_weights(run.net), state.best.weights))
    assert same_weights(weights[0][0], weights[1][0])
    assert same_weights(weights[0][1], weights[1][1])


def test_a_resumed_run_is_not_verified_again(
    images: ImageStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        train(images, Checkpoints(tmp_path / "x"))
    assert capsys.readouterr().out.count("settings verified") == 1


def test_too_little_disk_space_for_the_checkpoints_is_an_error_before_the_first_epoch(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of this model has 1.9 MB of weights, twice, and twice that for AdamW."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with (
        pytest.raises(UserError, match="10,000,000") as error,
        Checkpoints(tmp_path / "x") as checkpoints,
    ):
        train(images, checkpoints)
    needed = int(str(error.value).split(" need ")[1].split(" ")[0].replace(",", ""))
    monkeypatch.undo()
    written = Checkpoints(tmp_path / "y")
    train(images, written)
    written.wait()
    sizes = [path.stat().st_size for path in (tmp_path / "y").glob("*.ckpt")]
    assert needed == pytest.approx(3 * max(sizes), rel=0.02)


def test_an_augmentation_of_a_later_phase_that_fails_is_an_error_before_the_first_epoch(
    images: ImageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    too_large = [{"RandomCrop": {"height": 64, "width": 64}}]  # but the images have 40 x 32 pixels
    phase = {"epochs": 1, "lr": 0.01}
    with pytest.raises(UserError, match="augment"):
        train(images, phases=[phase, {**phase, "augment": too_large}])
    assert "epoch" not in capsys.readouterr().out


def test_a_metric_that_is_undefined_on_the_validation_fold_is_an_error_before_the_first_epoch(
    images: ImageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    one_class = FOLDS.assign(fold=(FOLDS["label"] != "circle").astype(int))
    with pytest.raises(UserError, match="roc_auc"):
        train(images, folds=one_class, metric="roc_auc")
    assert "epoch" not in capsys.readouterr().out


def test_a_single_image_to_train_on_is_an_error_before_the_first_epoch(
    images: ImageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    one_image = FOLDS.assign(fold=[1] + [0] * (len(FOLDS) - 1))
    with pytest.raises(UserError, match=r"one image is too small a batch.*Use batch_size: 2 or"):
        train(images, folds=one_image)
    assert "epoch" not in capsys.readouterr().out


def test_the_step_is_taken_in_the_phase_that_trains_most(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that suffices for the head, but not for all layers, runs out at the start."""
    begin, trainable = TrainState._begin_phase, list[int]()

    def spy(self: TrainState) -> None:
        begin(self)
        trainable.append(sum(p.numel() for p in self.net.parameters() if p.requires_grad))

    monkeypatch.setattr(TrainState, "_begin_phase", spy)
    phase = {"epochs": 1, "lr": 0.01}
    train(images, phases=[{**phase, "trainable": "head"}, phase])
    assert len(trainable) == 3 and trainable[0] == trainable[2] > trainable[1]
