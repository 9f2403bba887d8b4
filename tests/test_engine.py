from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pytest
import torch
from test_models import config as model_config

from podium import engine, loading, seed, store, training
from podium.device import accelerator
from podium.errors import UserError
from podium.infer import infer
from podium.schema import Model
from podium.store import ImageStore
from podium.views import VIEWS


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    folder: Path = tmp_path_factory.mktemp("images")
    known, _ = competitions.tables(120, 0)
    rng = np.random.default_rng(0)
    rows = [(i, competitions.encode(competitions.picture(label, rng))) for i, label in known.values]
    store.write_shard(folder / "00000.arrow", iter(rows), encode="png")
    return ImageStore(folder)


FOLDS = competitions.tables(120, 0)[0].assign(fold=[i // 3 % 4 for i in range(120)])


def train(images: ImageStore, **changes: Any) -> tuple[engine.Best, list[engine.Epoch]]:
    values = {"batch_size": 8, "fit": "squash", "phases": [{"epochs": 3, "lr": 0.01}]}
    config: Model = model_config(**(values | changes))
    classes = list(competitions.CLASSES)
    best, curves, _ = training.train_fold(
        config, FOLDS, classes=classes, store=images, fold=0, seed=1, metric="accuracy"
    )
    return best, curves


def test_training_learns(images: ImageStore) -> None:
    best, curves = train(images, phases=[{"epochs": 12, "lr": 0.01, "warmup_epochs": 1}])
    assert curves[-1].train_loss < 0.6 * curves[0].train_loss
    assert best.epoch.score >= 0.8


def test_the_same_seed_gives_the_same_weights_whatever_ran_before(images: ImageStore) -> None:
    changes = {"augment": [{"RandomResizedCrop": None}], "dropout": 0.3}
    first, _ = train(images, **changes)
    torch.rand(7)
    np.random.rand(3)
    second, _ = train(images, **changes)
    assert all(torch.equal(first.state[k], second.state[k]) for k in first.state)


def test_the_weights_do_not_depend_on_the_number_of_workers(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout too, which draws from the global generator."""
    states = []
    for workers in ("0", "1", "2"):
        monkeypatch.setenv("PODIUM_WORKERS", workers)
        states.append(train(images, dropout=0.5, augment=[{"HorizontalFlip": None}])[0].state)
    for other in states[1:]:
        assert all(torch.equal(states[0][k], other[k]) for k in other)


def test_a_loss_that_is_no_number_ends_the_training(images: ImageStore) -> None:
    with pytest.raises(UserError, match=r"epoch 1: the loss is (nan|inf): lower lr"):
        train(images, phases=[{"epochs": 2, "lr": 1e30}])


def test_the_best_epoch_is_the_best_by_the_metric_and_then_by_the_loss(images: ImageStore) -> None:
    best, curves = train(images, phases=[{"epochs": 6, "lr": 0.02}])
    assert best.epoch == max(curves, key=lambda row: (row.score, -row.valid_loss))


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


def test_the_rates_of_the_curves_follow_the_schedule(images: ImageStore) -> None:
    _, curves = train(images, phases=[{"epochs": 2, "lr": 0.01}])
    steps = 90 // 8
    last = [0.5 * (1 + np.cos(np.pi * (epoch * steps - 1) / (2 * steps))) for epoch in (1, 2)]
    assert [row.lr for row in curves] == pytest.approx([0.01 * factor for factor in last])


def test_inference_is_the_mean_of_the_views_logits(images: ImageStore) -> None:
    from podium.augment import Augmentation
    from podium.models import Normalize, create

    seed.set_global("x")
    net = create(model_config(), classes=3).eval()
    dataset = loading.Images(
        images, FOLDS["id"].tolist(), None, transform=Augmentation([], size=32, fit="squash")
    )
    views = ["identity", "hflip", "crop_center"]
    found = infer(
        net, loading.in_order(dataset, 10, workers=0), views=views, accelerator=accelerator("fp32")
    )
    whole = Normalize(net)(dataset.__getitems__([(0, row) for row in range(120)]).images)
    with torch.inference_mode():
        expected = sum(net(VIEWS[view](whole)) for view in views) / 3
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["fp32", "auto", "fp16"])
def test_a_gpu_gives_the_same_bytes_twice(images: ImageStore, precision: str) -> None:
    seed.set_deterministic(True)
    first, _ = train(images, precision=precision)
    second, _ = train(images, precision=precision)
    assert all(torch.equal(first.state[k], second.state[k]) for k in first.state)
