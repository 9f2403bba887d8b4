import io
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from trainings import EVERYTHING, FOLDS, data_of
from trainings import config as model_config

from podium.config.models import Model
from podium.core import seeding
from podium.core.errors import UserError
from podium.images import loading
from podium.images.store import ImageStore
from podium.models import factory
from podium.models.device import accelerator
from podium.models.inference import infer
from podium.prediction.tta import VIEWS
from podium.scoring import metrics
from podium.training import fold, loop, state
from podium.training.checkpoints import Checkpoints


def train(images: ImageStore, **changes: Any) -> tuple[state.Best, list[state.Epoch]]:
    values = {"batch_size": 8, "resize_mode": "squash", "phases": [{"epochs": 3, "lr": 0.01}]}
    config: Model = model_config(**(values | changes))
    with tempfile.TemporaryDirectory() as folder:
        best, curves, _ = fold.train_fold(
            config,
            data_of(images, FOLDS),
            fold=0,
            seed=1,
            metric=metrics.get("accuracy", "multiclass"),
            checkpoints=Checkpoints(Path(folder) / "x"),
        )
    return best, curves


def test_pretrained_weights_that_are_not_there_are_an_error(images: ImageStore) -> None:
    with pytest.raises(UserError, match=r"pretrained: nope\.safetensors"):
        train(images, pretrained="nope.safetensors")


def test_training_learns(images: ImageStore) -> None:
    best, curves = train(images, phases=[{"epochs": 12, "lr": 0.01, "warmup_epochs": 1}])
    assert curves[-1].train_loss < 0.6 * curves[0].train_loss
    assert best.epoch.score >= 0.8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_whatever_ran_before(images: ImageStore) -> None:
    changes = {"augment": [{"RandomResizedCrop": None}], "dropout": 0.3}
    first, _ = train(images, **changes)
    torch.rand(7)
    np.random.rand(3)
    second, _ = train(images, **changes)
    assert all(torch.equal(first.state[k], second.state[k]) for k in first.state)


@pytest.mark.slow
def test_the_weights_do_not_depend_on_the_number_of_workers(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do dropout, MixUp and erasing, which draw from the global generators."""
    states = []
    for workers in ("0", "1", "2"):
        monkeypatch.setenv("PODIUM_WORKERS", workers)
        states.append(train(images, **EVERYTHING)[0].state)
    for other in states[1:]:
        assert all(torch.equal(states[0][k], other[k]) for k in other)


def test_a_loss_that_is_no_number_ends_the_training(images: ImageStore) -> None:
    with pytest.raises(UserError, match=r"epoch 1, step \d+: the (loss|weights) \w+ no number"):
        train(images, phases=[{"epochs": 2, "lr": 1e30}])


def test_the_best_epoch_is_the_best_by_the_metric_and_then_by_the_loss(images: ImageStore) -> None:
    """The last phase ruins the model, and the one before it scores the same throughout."""
    still = {"lr": 1e-12, "trainable": "head", "epochs": 2, "batch_norm": "none"}
    best, curves = train(
        images, phases=[{"epochs": 4, "lr": 0.01}, still, {"epochs": 2, "lr": 9.0}]
    )
    assert best.epoch == max(curves, key=lambda row: (row.score, -row.valid_loss))
    assert best.epoch.epoch < 7 and curves[-1].score < best.epoch.score


def test_the_weights_kept_are_those_of_the_best_epoch(images: ImageStore) -> None:
    """A rate that ruins the model in the second phase leaves the first phase's best."""
    phases = [{"epochs": 4, "lr": 0.01}, {"epochs": 1, "lr": 100.0}]
    best, curves = train(images, phases=phases)
    assert best.epoch.phase == 1 and curves[-1].phase == 2
    shorter, _ = train(images, phases=phases[:1])
    assert all(torch.equal(best.state[k], shorter.state[k]) for k in best.state)


def test_a_phase_ends_when_patience_runs_out_and_the_next_begins(images: ImageStore) -> None:
    frozen = {"lr": 1e-12, "trainable": "head"}  # nothing gets better after the first epoch
    _, curves = train(images, patience=2, phases=[{"epochs": 9, **frozen}, {"epochs": 9, **frozen}])
    assert [row.phase for row in curves] == [1, 1, 1, 2, 2]


@pytest.mark.slow
def test_a_phase_that_ties_or_gets_worse_runs_out_of_patience_against_the_best_of_all(
    images: ImageStore,
) -> None:
    best, curves = train(
        images, patience=2, phases=[{"epochs": 5, "lr": 0.01}, {"epochs": 9, "lr": 9.0}]
    )
    assert best.epoch.phase == 1
    assert [row.phase for row in curves].count(2) == 2


@pytest.mark.slow
@pytest.mark.parametrize("start", ["last", "best"])
def test_a_phase_starts_from_the_last_weights_or_from_the_best(
    images: ImageStore, start: str
) -> None:
    ruin = {"epochs": 1, "lr": 9.0, "optimizer": "sgd"}
    still = {
        "epochs": 1,
        "lr": 1e-12,
        "trainable": "head",
        "batch_norm": "none",
        "init_from": start,
    }
    best, curves = train(images, phases=[{"epochs": 4, "lr": 0.01}, ruin, still])
    assert curves[4].valid_loss > 2 * best.epoch.valid_loss
    expected = best.epoch if start == "best" else curves[4]
    assert curves[5].valid_loss == pytest.approx(expected.valid_loss, rel=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_with_ema_the_average_of_the_weights_is_scored_and_kept(
    images: ImageStore, precision: str
) -> None:
    """Of one epoch of n steps: the average as timm's formula gives it, of weights step by step."""
    changes = {"phases": [{"epochs": 1, "lr": 0.01}], "precision": precision}
    seen: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        update = state.ModelEmaV3.update

        def spy(self: Any, net: torch.nn.Module, step: int) -> None:
            seen.append(net.fc.weight.detach().clone())  # type: ignore[union-attr]
            update(self, net, step)

        patch.setattr(state.ModelEmaV3, "update", spy)
        best, curves = train(images, ema_decay=0.5, **changes)
    average = seen[0]
    for step, weight in enumerate(seen[1:], 2):
        decay = min(0.5, 1 - (1 + (step - 1)) ** -(2 / 3))
        average = decay * average + (1 - decay) * weight
    assert len(seen) == 90 // 8
    assert torch.allclose(best.state["fc.weight"], average, atol=1e-5)
    plain, plain_curves = train(images, **changes)
    assert torch.equal(plain.state["fc.weight"], seen[-1])
    assert curves[0].train_loss == plain_curves[0].train_loss
    assert curves[0].valid_loss != plain_curves[0].valid_loss


def test_the_average_begins_with_the_first_weights_that_were_trained(images: ImageStore) -> None:
    """However many steps are accumulated; 90 images are one step of the optimizer."""
    changes = {"batch_size": 10, "grad_accum_steps": 9, "phases": [{"epochs": 1, "lr": 0.01}]}
    averaged, _ = train(images, ema_decay=0.9, **changes)
    plain, _ = train(images, **changes)
    assert all(torch.equal(averaged.state[k], plain.state[k]) for k in plain.state)


def test_accumulated_steps_are_one_step_of_a_larger_batch(images: ImageStore) -> None:
    """Without batch norm and with plain gradient descent, whatever is left at the epoch's end."""
    changes = {
        "architecture": "test_convnext",
        "phases": [{"epochs": 1, "lr": 0.1, "optimizer": "momentum", "schedule": "constant"}],
        "weight_decay": 0.0,
    }
    large, _ = train(images, batch_size=30, **changes)
    small, _ = train(images, batch_size=10, grad_accum_steps=3, **changes)
    other, _ = train(images, batch_size=10, **changes)
    names = [name for name in large.state if name.endswith("weight")]
    assert all(torch.allclose(large.state[k], small.state[k], atol=1e-5) for k in names)
    assert not all(torch.allclose(large.state[k], other.state[k], atol=1e-5) for k in names)


def test_the_last_accumulated_steps_of_an_epoch_may_be_fewer() -> None:
    assert [loop._together(step, 3, 8) for step in range(8)] == [
        *[(0, 3)] * 3,
        *[(3, 6)] * 3,
        *[(6, 8)] * 2,
    ]


def test_gradients_are_clipped_to_the_norm(images: ImageStore) -> None:
    """One step of gradient descent moves the weights by the rate times the clipped norm."""
    changes = {
        "batch_size": 90,
        "phases": [{"epochs": 1, "lr": 1.0, "optimizer": "momentum", "batch_norm": "none"}],
        "weight_decay": 0.0,
    }
    seeding.set_global(1, "weights", 0)
    start = factory.create(model_config(), outputs=3).state_dict()

    def moved(**more: Any) -> float:
        best, _ = train(images, **changes, **more)
        names = [name for name, tensor in start.items() if "running" not in name and tensor.ndim]
        return sum(float(((best.state[k] - start[k]) ** 2).sum()) for k in names) ** 0.5

    free = moved()
    assert moved(grad_clip_norm=free / 4) == pytest.approx(free / 4, rel=0.01)
    assert moved(grad_clip_norm=free * 4) == pytest.approx(free, rel=0.01)


def test_a_phases_own_augmentation_takes_the_place_of_the_models(images: ImageStore) -> None:
    blank = [{"RandomBrightnessContrast": {"brightness_limit": [-1, -1], "p": 1.0}}]
    still = {"epochs": 1, "lr": 1e-12, "trainable": "head"}
    _, curves = train(images, phases=[still, {**still, "augment": blank}, still])
    losses = [row.train_loss for row in curves]
    assert losses[0] == pytest.approx(losses[2], abs=1e-2)
    assert abs(losses[1] - losses[0]) > 3 * abs(losses[2] - losses[0])


def test_every_epoch_tells_losses_scores_rates_and_speed(images: ImageStore) -> None:
    phases = [
        {"epochs": 1, "lr": 0.01, "trainable": "head"},
        {"epochs": 2, "lr": 0.01, "backbone_lr": 0.002, "layer_decay": 0.5, "schedule": "constant"},
    ]
    _, curves = train(images, phases=phases)
    assert [row.backbone_lr for row in curves] == [None, *[pytest.approx(0.002 / 2**4)] * 2]
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
def test_every_option_of_a_model_changes_its_training(
    images: ImageStore, changes: dict[str, Any]
) -> None:
    phases = [{"epochs": 2, "lr": 0.01}]
    plain, _ = train(images, phases=phases)
    other, _ = train(images, phases=phases, **changes)
    name = "layer1.0.conv1.weight"
    assert not torch.equal(plain.state[name], other.state[name])


def test_two_classes_and_one_logit_train_and_predict_two(
    images: ImageStore, tmp_path: Path
) -> None:
    two = FOLDS[FOLDS["label"] != list(competitions.CLASSES)[2]].reset_index(drop=True)
    config = model_config(
        batch_size=8,
        resize_mode="squash",
        loss="binary_cross_entropy",
        phases=[{"epochs": 14, "lr": 0.01}],
    )
    best, _, _ = fold.train_fold(
        config,
        data_of(images, two),
        fold=0,
        seed=1,
        metric=metrics.get("accuracy", "multiclass"),
        checkpoints=Checkpoints(tmp_path),
    )
    assert best.state["fc.weight"].shape[0] == 1
    assert best.epoch.score >= 0.8


def test_images_kept_from_training_are_not_trained_on_but_validated(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sets: list[list[str]] = []
    original = loading.Images.__init__

    def spy(self: Any, store: Any, ids: list[str], *rest: Any, **named: Any) -> None:
        sets.append(ids)
        original(self, store, ids, *rest, **named)

    monkeypatch.setattr(loading.Images, "__init__", spy)
    folds = FOLDS.assign(train=["no" if i % 5 == 0 else "yes" for i in range(len(FOLDS))])
    config = model_config(batch_size=8, resize_mode="squash", phases=[{"epochs": 1, "lr": 0.01}])
    fold.train_fold(
        config,
        data_of(images, folds),
        fold=0,
        seed=1,
        metric=metrics.get("accuracy", "multiclass"),
        checkpoints=Checkpoints(tmp_path),
    )
    trained, validated = sets
    assert trained == folds.loc[(folds["fold"] != 0) & (folds["train"] == "yes"), "id"].tolist()
    assert validated == folds.loc[folds["fold"] == 0, "id"].tolist()


def test_a_phase_that_cannot_be_is_an_error_before_anything_trains(images: ImageStore) -> None:
    first = {"epochs": 1, "lr": 0.01}
    with pytest.raises(UserError, match="layer groups, not 44"):
        train(images, phases=[first, {**first, "trainable": {"last": 44}}])
    with pytest.raises(UserError, match="timm has no optimizer adamx"):
        train(images, phases=[first, {**first, "optimizer": "adamx"}])
    with pytest.raises(UserError, match="no transform Blr"):
        train(images, phases=[first, {**first, "augment": [{"Blr": {}}]}])


def test_the_rates_of_the_curves_follow_the_schedule(images: ImageStore) -> None:
    _, curves = train(images, phases=[{"epochs": 2, "lr": 0.01}])
    steps = 90 // 8
    last = [0.5 * (1 + np.cos(np.pi * (epoch * steps - 1) / (2 * steps))) for epoch in (1, 2)]
    assert [row.lr for row in curves] == pytest.approx([0.01 * factor for factor in last])


def test_inference_is_the_mean_of_the_views_logits(images: ImageStore) -> None:
    from podium.images.augment import Augmentation
    from podium.images.sampling import SampleIndex
    from podium.models.factory import create
    from podium.models.inputs import Normalize

    seeding.set_global("x")
    net = create(model_config(), outputs=3).eval()
    dataset = loading.Images(
        images,
        FOLDS["id"].tolist(),
        None,
        transforms=[Augmentation("none", size=32, resize_mode="squash")],
    )
    views = ["identity", "hflip", "crop_center"]
    found = infer(
        net,
        loading.in_order(dataset, 10, workers=0),
        views=[VIEWS[view] for view in views],
        to_logits=lambda values: 2 * values,
        accelerator=accelerator("fp32"),
    )
    batch = dataset.__getitems__([SampleIndex(row) for row in range(120)])
    whole = Normalize(net)(batch.inputs["image"])
    with torch.inference_mode():
        expected = sum(2 * net(VIEWS[view](whole)) for view in views) / 3
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["fp32", "auto", "fp16"])
@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_a_gpu_gives_the_same_bytes_twice(
    images: ImageStore, precision: str, changes: dict[str, Any]
) -> None:
    seeding.set_deterministic(True)
    first, _ = train(images, precision=precision, **changes)
    second, _ = train(images, precision=precision, **changes)
    assert all(torch.equal(first.state[k], second.state[k]) for k in first.state)


def test_weights_that_stop_being_numbers_end_the_training_and_are_not_kept(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One infinite gradient under grad_clip_norm: each loss before it is a number."""
    learn, calls = state.TrainState.learn, 0

    def broken(self: state.TrainState, *arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        value = learn(self, *arguments, **options)
        if calls == 22:  # the last step of the second epoch, and of all
            next(self.net.parameters()).grad[0] = float("inf")
        return value

    monkeypatch.setattr(state.TrainState, "learn", broken)
    config = model_config(
        batch_size=8, resize_mode="squash", phases=[{"epochs": 2, "lr": 0.01}], grad_clip_norm=1.0
    )
    with (
        pytest.raises(UserError, match=r"epoch 2, step 11: the weights are no number any more"),
        Checkpoints(tmp_path / "x") as checkpoints,
    ):
        fold.train_fold(
            config,
            data_of(images, FOLDS),
            fold=0,
            seed=1,
            metric=metrics.get("log_loss", "multiclass"),
            checkpoints=checkpoints,
        )
    kept = [torch.load(io.BytesIO(path.read_bytes().partition(b"\n")[2]), weights_only=True)
            for path in (tmp_path / "x").glob("*.ckpt")]  # fmt: skip
    assert kept
    for made in kept:
        assert all(t.isfinite().all() for t in made["net"].values() if t.is_floating_point())


@pytest.mark.slow
def test_without_a_compiler_compile_is_an_error(images: ImageStore) -> None:
    from torch._inductor import config

    torch.compiler.reset()
    without = config.patch({"cpp.cxx": (None, "/none"), "force_disable_caches": True})
    with without, pytest.raises(UserError, match="compile: InvalidCxxCompiler: No working C"):
        train(images, compile=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.thorough
def test_a_compiled_model_learns_as_it_does_otherwise_and_the_same_each_time(
    images: ImageStore,
) -> None:
    values: dict[str, Any] = {"architecture": "simple_cnn", "image_size": 32}
    values["phases"] = [{"epochs": 1, "lr": 1e-3}, {"epochs": 1, "lr": 1e-3, "trainable": "head"}]
    torch._dynamo.utils.counters.clear()
    eager, _ = train(images, **values)
    assert not torch._dynamo.utils.counters["stats"]
    first, _ = train(images, **values, compile=True)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # one a phase
    again, _ = train(images, **values, compile=True)
    for name, tensor in first.state.items():
        assert torch.equal(tensor, again.state[name])
        assert torch.allclose(tensor, eager.state[name], atol=1e-4)


class Reads(TorchDispatchMode):
    """Counts how often a tensor's number is read, for which a GPU must have done all its work."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mix", [None, {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}])
def test_no_step_reads_a_number(images: ImageStore, mix: dict[str, float] | None) -> None:
    counts = []
    for size in (30, 10):  # images a step: three times as many steps
        with Reads() as reads:
            train(
                images,
                batch_size=size,
                phases=[{"epochs": 1, "lr": 0.01}],
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
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_no_step_waits_for_the_gpu(images: ImageStore, precision: str) -> None:
    counts = []
    for size in (30, 10):
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            train(images, batch_size=size, phases=[{"epochs": 1, "lr": 0.01}], precision=precision)
        torch.cuda.set_sync_debug_mode("default")
        counts.append(len([wait for wait in waits if "synchronizing" in str(wait.message)]))
    assert counts[0] == counts[1] > 0
