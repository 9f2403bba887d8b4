"""What is measured, against the real thing."""

import math
import shutil
import time
from typing import Any

import pytest
import trainings
from torch import nn

from podium.config.embeddings import Embedding
from podium.config.predict import Predict
from podium.config.probes import Probe
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.models import device
from podium.planning import stopwatch, timing, timing_probes
from podium.planning.cost import Split
from podium.planning.timing import ModelTime, ToPredict


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "SECONDS", 0.2)


def measure(images: ImageStore, **changes: Any) -> ModelTime:
    config = trainings.config(**{"batch_size": 8, "resize_mode": "squash", **changes})
    ids = trainings.FOLDS["id"].tolist()
    predict = Predict(views=["identity", "hflip"], batch_size=16)
    return timing.measure_model(
        config,
        trainings.training_data(images, trainings.FOLDS),
        ToPredict(images, ids, predict),
        fold=0,
        seed=1,
    )


def test_a_model_is_measured_in_each_of_its_phases(images: ImageStore) -> None:
    measured = measure(
        images,
        phases=[
            {"epochs": 2, "trainable": "head", "lr": 0.01, "augment": "light"},
            {"epochs": 3, "lr": 0.01, "augment": "light"},
            {"epochs": 1, "lr": 0.001, "augment": "light"},
        ],
        architecture="resnet10t",
        image_size=64,
    )
    head, everything, again = measured.training.batches
    assert 0 < head.unit < everything.unit and everything == again
    assert measured.epochs == [2, 3, 1] and measured.split == (90, 30, 0)
    assert measured.prediction is not None
    assert measured.training.validation.unit > 0 and measured.prediction.unit > 0
    assert measured.training.checkpoint > 0 and measured.training.network > 0
    assert 50 * 2**20 < measured.memory < 64 * 2**30


def test_gradient_accumulation_ema_and_gradual_unfreezing(images: ImageStore) -> None:
    phases = [{"epochs": 4, "lr": 0.01, "trainable": {"gradual": 2}}]
    measured = measure(images, grad_accum_steps=3, ema_decay=0.9, phases=phases, augment="light")
    assert measured.epochs == [2, 2] and len(measured.training.batches) == 2


def test_a_phase_on_cached_features_counts_as_one_epoch(images: ImageStore) -> None:
    phases = [{"epochs": 4, "lr": 0.01, "trainable": "head"}, {"epochs": 2, "lr": 0.01}]
    assert measure(images, phases=phases).epochs == [1, 2]
    assert measure(images, phases=phases, augment="light").epochs == [4, 2]


def test_a_head_from_a_probe_is_measured(images: ImageStore) -> None:
    phases = [{"epochs": 1, "lr": 0.01, "init_from": "probe"}]
    assert measure(images, phases=phases).training.probe > 0
    assert measure(images).training.probe == 0


def test_images_that_do_not_fit_into_the_cache(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODIUM_CACHE_MIB", "0")
    assert measure(images).training.cache == 0
    monkeypatch.delenv("PODIUM_CACHE_MIB")
    assert measure(images).training.cache > 0


def test_a_batch_that_does_not_fit_is_split_or_reported(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, sizes = timing._measure, list[int]()

    def out_of_memory(*arguments: Any) -> ModelTime:
        sizes.append(arguments[-1])
        if sizes[-1] < 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return original(*arguments)

    monkeypatch.setattr(timing, "_measure", out_of_memory)
    measure(images, on_oom="accumulate", batch_size=16)
    assert sizes == [1, 2, 4]
    sizes.clear()
    with pytest.raises(UserError, match="batch_size: 16 does not fit"):
        measure(images, batch_size=16)


@pytest.mark.slow
def test_the_time_of_a_real_training_is_predicted(images: ImageStore) -> None:
    """Within a factor of three, since tests share the machine; a quiet one allows for 30 %."""
    options = {"image_size": 64, "phases": [{"epochs": 10, "lr": 0.01}]}
    measured = measure(images, **options)
    expected = measured.training.seconds(measured.epochs, 8, measured.split)
    start = time.perf_counter()
    trainings.train(images, **options)
    assert abs(math.log(expected / (time.perf_counter() - start))) < math.log(3)


@pytest.mark.parametrize("compiles", [False, True])
def test_phases_are_measured_as_often_as_the_training_compiles(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, *, compiles: bool
) -> None:
    compiled = list[object]()

    def count(net: nn.Module, purpose: object) -> nn.Module:
        if [purpose] != compiled[-1:]:
            compiled.append(purpose)
        return net

    monkeypatch.setattr(device, "compiled", count)
    phases = [
        {"epochs": 1, "lr": 0.01, "trainable": part} for part in ("head", "all", "all", "head")
    ]
    options = {"phases": phases, "image_size": 32, "compile": compiles}
    rates = measure(images, **options).training.batches
    assert len({*rates}) == (4 if compiles else 2)
    assert len(compiled) == (3 if compiles else 0)
    planned = len(compiled)
    compiled.clear()
    trainings.train(images, **options)
    assert len(compiled) == planned + compiles  # once more to verify the settings


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.long
def test_the_time_to_compile_is_part_of_the_start(images: ImageStore) -> None:
    values: dict[str, Any] = {"architecture": "simple_cnn", "image_size": 32}
    eager = measure(images, **values).training
    compiled = measure(images, **values, compile=True).training
    assert compiled.batches[0].start > max(1.0, 5 * eager.batches[0].start)
    seconds = [training.seconds([1], 8, Split(90, 30, 0)) for training in (eager, compiled)]
    assert seconds[1] - seconds[0] > 0.5 * compiled.batches[0].start


def test_an_embedding_and_the_head_of_a_probe(images: ImageStore) -> None:
    config = Embedding(architecture="test_resnet", pretrained=False, image_size=32, batch_size=16)
    ids = trainings.FOLDS["id"].tolist()
    measured = timing_probes.measure_embedding(config, images, ids, seed=1)
    assert measured.images.unit > 0 and measured.network > 0
    count, views, _ = measured.features.shape
    assert views == 2 and 32 <= count <= len(ids)
    data, probe = trainings.training_data(images, trainings.FOLDS), Probe(features=["a", "b"])
    shorter = measured.features[:20]
    head = timing_probes.measure_head(probe, [measured.features, shorter], data, ids, seed=1)
    assert head.size == 2 * 20 and 0 < head.seconds < 10
    assert head.inner == trainings.FOLDS["fold"].nunique()
    head = head._replace(inner=3)
    assert head.fit(10, 2, folds=4) == pytest.approx(head.seconds / 2)
    assert head.fit(10, 2, folds=5) == pytest.approx(1.5 * head.seconds / 2)
    assert head.fit(800, 2, folds=4) > 2.7 * 40 * head.seconds  # as measured
