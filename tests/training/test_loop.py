import io
import shutil
from pathlib import Path
from typing import Any

import accelerate
import competitions
import numpy as np
import pytest
import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch.utils.data import dataloader
from trainings import EVERYTHING, FOLDS, Reads, gpu_waits, same_weights, train
from trainings import config as model_config

from podium.core import console, seeding
from podium.core.errors import UserError
from podium.images import loading
from podium.images.store import ImageStore
from podium.models import factory
from podium.training import state
from podium.training.checkpoints import Checkpoints
from podium.training.criterion import Criterion
from podium.training.fold import TrainedFold

STEPS = 11  # per epoch, of 8 of the 90 training images
FROZEN = {"lr": 1e-12, "trainable": "head"}  # changes nothing but the head's statistics

ON_GPU = {"augment": "medium", "augment_on": "gpu"}


@pytest.fixture(scope="module")
def trained(images: ImageStore) -> TrainedFold:
    """One epoch with default options."""
    return train(images)


def test_each_epoch_but_the_last_says_how_long_the_rest_takes(
    images: ImageStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(console, "duration", lambda seconds: asked.append(seconds) or "long")
    head = {"epochs": 2, "lr": 0.01, "trainable": "head", "augment": "light"}
    _, curves, _ = train(images, phases=[head, {"epochs": 1, "lr": 0.01}])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.endswith("  long left") for line in lines] == [True, True, False]
    assert asked == [2 * curves[0].seconds, min(row.seconds for row in curves[:2])]


def test_after_epochs_on_features_the_time_on_images_is_unknown(
    images: ImageStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(console, "duration", lambda seconds: asked.append(seconds) or "long")
    head = {"epochs": 2, "lr": 0.01, "trainable": "head"}
    _, curves, _ = train(images, phases=[head, {"epochs": 2, "lr": 0.01}])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    unknown = "  time left unknown until the next phase"
    assert [line.endswith(unknown) for line in lines] == [True, True, False, False]
    assert lines[2].endswith("  long left") and asked == [curves[2].seconds]
    times = [row.feature_seconds for row in curves]
    assert 0 < times[0] < curves[0].seconds and times[1:] == [0, 0, 0]
    fastest = max(row.images_per_s for row in curves[:2])
    assert curves[0].images_per_s > 0.2 * fastest  # without the features


def test_training_learns(images: ImageStore) -> None:
    best, curves, _ = train(images, phases=[{"epochs": 12, "lr": 0.01, "warmup_epochs": 1}])
    assert curves[-1].train_loss < 0.6 * curves[0].train_loss
    assert best.epoch.score >= 0.8


def test_a_training_starts_one_set_of_loader_workers(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For all epochs and phases; validation has none."""
    started: list[int] = []
    original = dataloader._MultiProcessingDataLoaderIter.__init__

    def spy(self: Any, loader: loading.Loader) -> None:
        started.append(loader.num_workers)
        original(self, loader)

    monkeypatch.setattr(dataloader._MultiProcessingDataLoaderIter, "__init__", spy)
    monkeypatch.setenv("PODIUM_WORKERS", "2")
    train(
        images, phases=[{"epochs": 2, "lr": 0.01, "trainable": "head"}, {"epochs": 1, "lr": 0.01}]
    )
    assert started == [2]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_whatever_ran_before(images: ImageStore) -> None:
    first = train(images, **EVERYTHING)
    torch.rand(7)
    np.random.rand(3)
    assert same_weights(first.best.weights, train(images, **EVERYTHING).best.weights)


@pytest.mark.slow
def test_weights_do_not_depend_on_the_number_of_workers(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Including dropout, MixUp and erasing, which draw from the global generators."""
    weights = []
    for workers in ("0", "1", "2"):
        monkeypatch.setenv("PODIUM_WORKERS", workers)
        weights.append(train(images, **EVERYTHING).best.weights)
    assert same_weights(weights[0], weights[1]) and same_weights(weights[0], weights[2])


def test_best_epoch_is_chosen_by_score_then_by_validation_loss(images: ImageStore) -> None:
    """The last phase ruins the model; the one before it scores the same in each epoch."""
    still = {**FROZEN, "epochs": 2, "batch_norm": "none"}
    best, curves, _ = train(
        images, phases=[{"epochs": 4, "lr": 0.01}, still, {"epochs": 2, "lr": 9.0}]
    )
    assert best.epoch == max(curves, key=lambda row: (row.score, -row.valid_loss))
    assert best.epoch.epoch < 7 and curves[-1].score < best.epoch.score


def test_best_weights_are_those_of_the_best_epoch(images: ImageStore) -> None:
    """The second phase ruins the model, so the first phase's weights are kept."""
    phases = [{"epochs": 4, "lr": 0.01}, {"epochs": 1, "lr": 100.0}]
    best, curves, _ = train(images, phases=phases)
    assert best.epoch.phase == 1 and curves[-1].phase == 2
    assert same_weights(best.weights, train(images, phases=phases[:1]).best.weights)


def test_running_out_of_patience_ends_the_phase(images: ImageStore) -> None:
    """Nothing improves after the first epoch."""
    _, curves, _ = train(images, patience=2, phases=[{"epochs": 9, **FROZEN}] * 2)
    assert [row.phase for row in curves] == [1, 1, 1, 2, 2]


@pytest.mark.slow
def test_patience_compares_with_the_best_epoch_of_all_phases(images: ImageStore) -> None:
    best, curves, _ = train(
        images, patience=2, phases=[{"epochs": 5, "lr": 0.01}, {"epochs": 9, "lr": 9.0}]
    )
    assert best.epoch.phase == 1
    assert [row.phase for row in curves].count(2) == 2


@pytest.mark.slow
@pytest.mark.parametrize("init_from", ["last", "best"])
def test_a_phase_starts_from_the_last_or_the_best_weights(
    images: ImageStore, init_from: str
) -> None:
    ruin = {"epochs": 1, "lr": 9.0, "optimizer": "sgd"}
    still = {**FROZEN, "epochs": 1, "batch_norm": "none", "init_from": init_from}
    best, curves, _ = train(images, phases=[{"epochs": 4, "lr": 0.01}, ruin, still])
    assert curves[4].valid_loss > 2 * best.epoch.valid_loss
    initial = best.epoch if init_from == "best" else curves[4]
    assert curves[5].valid_loss == pytest.approx(initial.valid_loss, rel=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_ema_weights_are_scored_and_kept(
    images: ImageStore, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They follow timm's formula for the weights after each step."""
    heads: list[torch.Tensor] = []
    update = state.ModelEmaV3.update

    def spy(self: Any, net: torch.nn.Module, step: int) -> None:
        heads.append(net.fc.weight.detach().clone())  # type: ignore[union-attr]
        update(self, net, step)

    monkeypatch.setattr(state.ModelEmaV3, "update", spy)
    best, curves, _ = train(images, ema_decay=0.5, precision=precision)
    _, average, *rest = heads  # the first step verified the settings
    assert len(rest) == STEPS - 1
    for step, weight in enumerate(rest, 2):
        decay = min(0.5, 1 - (1 + (step - 1)) ** -(2 / 3))
        average = decay * average + (1 - decay) * weight
    assert torch.allclose(best.weights["fc.weight"], average, atol=1e-5)
    plain, plain_curves, _ = train(images, precision=precision)
    assert torch.equal(plain.weights["fc.weight"], heads[-1])
    assert curves[0].train_loss == plain_curves[0].train_loss
    assert curves[0].valid_loss != plain_curves[0].valid_loss


def test_ema_starts_from_the_weights_after_the_first_optimizer_step(images: ImageStore) -> None:
    """One optimizer step of nine accumulated batches."""
    changes = {"batch_size": 10, "grad_accum_steps": 9}
    averaged = train(images, ema_decay=0.9, **changes).best.weights
    assert same_weights(averaged, train(images, **changes).best.weights)


def test_accumulated_batches_are_one_larger_batch(images: ImageStore) -> None:
    """Without batch norm and with plain gradient descent."""
    changes = {
        "architecture": "test_convnext",
        "phases": [{"epochs": 1, "lr": 0.1, "optimizer": "momentum", "schedule": "constant"}],
        "weight_decay": 0.0,
    }
    large = train(images, batch_size=30, **changes).best.weights
    accumulated = train(images, batch_size=10, grad_accum_steps=3, **changes).best.weights
    small = train(images, batch_size=10, **changes).best.weights
    names = [name for name in large if name.endswith("weight")]
    assert all(torch.allclose(large[name], accumulated[name], atol=1e-5) for name in names)
    assert not all(torch.allclose(large[name], small[name], atol=1e-5) for name in names)


@pytest.mark.parametrize(("batch_size", "windows"), [(11, [3, 3, 2]), (10, [3, 3, 3])])
def test_the_last_optimizer_step_of_an_epoch_may_average_fewer_batches(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, batch_size: int, windows: list[int]
) -> None:
    """Each batch's gradients are divided by the number of batches in its optimizer step."""
    backward, step = accelerate.Accelerator.backward, AcceleratedOptimizer.step
    divisors: list[list[float]] = [[]]

    def spy(self: accelerate.Accelerator, loss: torch.Tensor, **options: Any) -> None:
        divisors[-1].append(1 / loss.item())
        backward(self, loss, **options)

    def end_of_window(self: AcceleratedOptimizer, *arguments: Any) -> None:
        divisors.append([])
        step(self, *arguments)

    monkeypatch.setattr(Criterion, "__call__", lambda _, outputs, __: 1 + 0 * outputs.sum())
    monkeypatch.setattr(accelerate.Accelerator, "backward", spy)
    monkeypatch.setattr(AcceleratedOptimizer, "step", end_of_window)
    train(images, batch_size=batch_size, grad_accum_steps=3)
    verified, *trained, empty = divisors
    assert verified == [1] and not empty
    assert trained == [[pytest.approx(count)] * count for count in windows]


def test_gradients_are_clipped_to_the_norm(images: ImageStore) -> None:
    """One step of gradient descent with lr 1 moves the weights by the clipped norm."""
    changes = {
        "batch_size": 90,
        "phases": [{"epochs": 1, "lr": 1.0, "optimizer": "momentum", "batch_norm": "none"}],
        "weight_decay": 0.0,
    }
    seeding.set_global(1, "weights", 0)
    initial = factory.create(model_config(), outputs=3).state_dict()
    names = [name for name, tensor in initial.items() if "running" not in name and tensor.ndim]

    def distance(**more: Any) -> float:
        weights = train(images, **changes, **more).best.weights
        return sum(float(((weights[k] - initial[k]) ** 2).sum()) for k in names) ** 0.5

    norm = distance()
    assert distance(grad_clip_norm=norm / 4) == pytest.approx(norm / 4, rel=0.01)
    assert distance(grad_clip_norm=norm * 4) == pytest.approx(norm, rel=0.01)


def test_a_phases_augmentation_replaces_the_models(images: ImageStore) -> None:
    black = [{"RandomBrightnessContrast": {"brightness_limit": [-1, -1], "p": 1.0}}]
    still = {"epochs": 1, **FROZEN}
    _, curves, _ = train(images, phases=[still, {**still, "augment": black}, still])
    losses = [row.train_loss for row in curves]
    assert losses[0] == pytest.approx(losses[2], abs=1e-2)
    assert abs(losses[1] - losses[0]) > 3 * abs(losses[2] - losses[0])


def test_curves_have_losses_scores_rates_and_speed(images: ImageStore) -> None:
    phases = [
        {"epochs": 1, "lr": 0.01, "trainable": "head"},
        {"epochs": 2, "lr": 0.01, "backbone_lr": 0.002, "layer_decay": 0.5},
    ]
    _, curves, _ = train(images, phases=phases)
    factors = [
        0.5 * (1 + np.cos(np.pi * step / (2 * STEPS))) for step in (STEPS - 1, 2 * STEPS - 1)
    ]
    assert [row.lr for row in curves[1:]] == pytest.approx([0.01 * factor for factor in factors])
    assert curves[0].backbone_lr is None
    assert curves[1].backbone_lr == pytest.approx(0.002 / 2**4 * factors[0])
    for row in curves:
        assert row.accuracy == row.score
        assert 0 <= min(row.precision, row.recall, row.f1) <= max(row.precision, row.recall) <= 1
        assert row.images_per_s > 0 < row.seconds


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"class_weights": [1.0, 2.0, 3.0]},
        {"sampling": "balanced"},
        {"loss": "focal"},
        {"loss": "binary_cross_entropy"},
        {"mix": {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}},
        {"random_erasing": 0.5},
        {"head": "batch_norm"},
        {"dropout": 0.5},
        {"grad_accum_steps": 2},
        {"grad_clip_norm": 0.1},
        {"ema_decay": 0.9},
        {"label_smoothing": 0.2},
        {"augment": "heavy"},
        {"decay_norms": True, "weight_decay": 5.0},
        {"weight_decay": 5.0},
    ],
    ids=str,
)
def test_every_option_of_a_model_affects_its_training(
    images: ImageStore, trained: TrainedFold, changes: dict[str, Any]
) -> None:
    name = "layer1.0.conv1.weight"
    weights = train(images, **changes).best.weights
    assert not torch.equal(trained.best.weights[name], weights[name])


def test_one_logit_for_two_classes(images: ImageStore) -> None:
    two = FOLDS[FOLDS["label"] != list(competitions.CLASSES)[2]].reset_index(drop=True)
    best, _, _ = train(
        images,
        folds=two,
        loss="binary_cross_entropy",
        phases=[{"epochs": 14, "lr": 0.01}],
    )
    assert best.weights["fc.weight"].shape[0] == 1
    assert best.epoch.score >= 0.8


def test_images_dropped_from_training_are_still_validated(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[list[str]] = []
    original = loading.Images.__init__

    def spy(self: Any, store: Any, names: list[str], *rest: Any, **named: Any) -> None:
        ids.append(names)
        original(self, store, names, *rest, **named)

    monkeypatch.setattr(loading.Images, "__init__", spy)
    folds = FOLDS.assign(train=["no" if i % 5 == 0 else "yes" for i in range(len(FOLDS))])
    train(images, folds=folds)
    kept = folds[(folds["fold"] != 0) & (folds["train"] == "yes")]
    assert ids[0] == kept["id"].tolist()
    assert ids[1] == folds.loc[folds["fold"] == 0, "id"].tolist()


def test_a_diverging_loss_ends_the_training(images: ImageStore) -> None:
    with pytest.raises(UserError, match=r"epoch 1, step 1: weights are not finite"):
        train(images, phases=[{"epochs": 2, "lr": 1e39}])


def test_weights_that_are_not_finite_are_not_saved(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One infinite gradient under grad_clip_norm, after losses that are all finite."""
    backward, calls = accelerate.Accelerator.backward, 0

    def broken(self: accelerate.Accelerator, *arguments: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        backward(self, *arguments, **options)
        if calls == 1 + 2 * STEPS:  # the last step, after the one that verified the settings
            parameters = self._optimizers[0].param_groups[0]["params"]
            parameters[0].grad[0] = float("inf")

    monkeypatch.setattr(accelerate.Accelerator, "backward", broken)
    with (
        pytest.raises(UserError, match=r"epoch 2, step 11: weights are not finite"),
        Checkpoints(tmp_path / "x") as checkpoints,
    ):
        train(
            images,
            checkpoints,
            metric="log_loss",
            phases=[{"epochs": 2, "lr": 0.01}],
            grad_clip_norm=1.0,
        )
    saved = [torch.load(io.BytesIO(path.read_bytes().partition(b"\n")[2]), weights_only=True)
             for path in (tmp_path / "x").glob("*.ckpt")]  # fmt: skip
    assert saved
    for contents in saved:
        assert all(t.isfinite().all() for t in contents["net"].values() if t.is_floating_point())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["fp32", "auto", "fp16"])
@pytest.mark.parametrize(
    "changes", [{}, EVERYTHING, ON_GPU], ids=["plain", "everything", "augmented on the GPU"]
)
def test_a_gpu_gives_the_same_bytes_twice(
    images: ImageStore, precision: str, changes: dict[str, Any]
) -> None:
    seeding.set_deterministic(True)
    first = train(images, precision=precision, **changes)
    second = train(images, precision=precision, **changes)
    assert same_weights(first.best.weights, second.best.weights)


@pytest.mark.slow
def test_compile_without_a_compiler_is_an_error(images: ImageStore) -> None:
    from torch._inductor import config

    torch.compiler.reset()
    without = config.patch({"cpp.cxx": (None, "/none"), "force_disable_caches": True})
    with without, pytest.raises(UserError, match="compile: InvalidCxxCompiler"):
        train(images, compile=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.long
def test_a_compiled_model_trains_like_an_eager_one_and_reproducibly(images: ImageStore) -> None:
    values: dict[str, Any] = {"architecture": "simple_cnn", "image_size": 32}
    every, head = {"epochs": 1, "lr": 1e-4}, {"epochs": 1, "lr": 1e-3, "trainable": "head"}
    values["phases"] = [head, every, {**every, "lr": 1e-5}]
    torch._dynamo.utils.counters.clear()
    eager = train(images, **values).best.weights
    assert not torch._dynamo.utils.counters["stats"]
    first = train(images, **values, compile=True).best.weights
    # To verify the settings with all layers, for the head, and for the two phases with all layers.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3
    assert same_weights(first, train(images, **values, compile=True).best.weights)
    for name, tensor in first.items():
        assert torch.allclose(tensor, eager[name], atol=1e-4)


@pytest.mark.parametrize("mix", [None, {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}])
def test_no_step_reads_a_tensors_value(images: ImageStore, mix: dict[str, float] | None) -> None:
    counts = []
    for batch_size in (30, 10):  # three times as many steps
        with Reads() as reads:
            train(
                images,
                batch_size=batch_size,
                mix=mix,
                random_erasing=0.5,
                grad_clip_norm=1.0,
                ema_decay=0.9,
                class_weights="balanced",
            )
        counts.append(reads.count)
    assert counts[0] == counts[1] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("changes", [{"precision": "fp32"}, {}, ON_GPU], ids=str)
def test_no_step_waits_for_the_gpu(images: ImageStore, changes: dict[str, Any]) -> None:
    counts = []
    for batch_size in (30, 10):
        with gpu_waits() as waits:
            train(images, batch_size=batch_size, **changes)
        counts.append(len(waits))
    assert counts[0] == counts[1] > 0
