"""Training with `image_pool`: the images of an id are one example."""

from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest
import torch
from test_checkpoints import Killed, KilledAfterSaves
from torch import Tensor
from trainings import components, config, same_weights, train, training_data

from commands import lr_range
from podium.config.predict import Predict
from podium.core.errors import UserError
from podium.core.provenance import TrainingProvenance
from podium.images import store
from podium.images.sampling import SampleIndex
from podium.images.store import ImageStore
from podium.models import image_pool, inputs, weights
from podium.pages.heatmaps import Explainer
from podium.planning import timing
from podium.planning.timing import ToPredict
from podium.prediction.predictor import Predictor
from podium.scoring import metrics
from podium.training import loop, memory, preflight, worst
from podium.training.build import TrainingData
from podium.training.checkpoints import Checkpoints
from podium.training.fold import TrainedFold
from podium.training.state import TrainState

UNITS, SIZE = 80, 24
COLORS = {"circle": 0, "square": 1}
ACCURACY = metrics.get("accuracy", "multiclass")


def table() -> pd.DataFrame:
    """80 ids with one to five images each. One image of an id shows its label: by its color, next
    to a white corner. The others have any of the colors, and no corner.
    """
    rng, rows = np.random.default_rng(0), list[tuple[str, str, str, int, str]]()
    for unit in range(UNITS):
        label = rng.choice([*COLORS])
        count = 1 + unit % 5
        decisive = int(rng.integers(count))
        for number in range(count):
            shown = label if number == decisive else rng.choice([*COLORS])
            kind = f"{shown}{'!' * (number == decisive)}"
            rows.append((f"{unit:02d}_{number}", label, f"h{unit}", unit // 5 % 4, kind))
    return pd.DataFrame(rows, columns=["id", "label", "unit", "fold", "kind"])


FOLDS = table()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    rows = []
    for row in FOLDS.itertuples():
        pixels = rng.integers(0, 60, (SIZE, SIZE, 3))
        pixels[..., COLORS[row.kind.strip("!")]] += 120
        if row.kind.endswith("!"):
            pixels[:8, :8] = 255
        rows.append((row.id, competitions.encode(pixels.astype(np.uint8))))
    store.write_shard(folder / "00000.arrow", iter(rows), encode="png")
    return ImageStore(folder)


def data(images: ImageStore, folds: pd.DataFrame = FOLDS) -> TrainingData:
    return training_data(images, folds.drop(columns="kind"))


def options(**changes: Any) -> dict[str, Any]:
    return {"image_pool": "attention", "image_size": 32, "batch_size": 6} | changes


def mixed_order() -> pd.DataFrame:
    """The table with the images of each id apart."""
    return FOLDS.sort_values(by="id", key=lambda ids: ids.str[::-1], ignore_index=True)


EVERYTHING = options(
    augment="heavy",
    random_erasing=0.5,
    sampling="balanced",
    class_weights="balanced",
    head="batch_norm",
    dropout=0.5,
    grad_accum_steps=2,
    ema_decay=0.9,
    label_smoothing=0.1,
    phases=[
        {"epochs": 1, "lr": 0.01, "trainable": "head"},
        {"epochs": 2, "lr": 0.01, "layer_decay": 0.5, "init_from": "best", "augment": "light"},
    ],
)


@pytest.fixture(scope="module")
def trained(images: ImageStore) -> TrainedFold:
    phases = [{"epochs": 12, "lr": 0.01}]
    return train(images, data=data(images, mixed_order()), **options(phases=phases))


@pytest.fixture
def path(trained: TrainedFold, tmp_path: Path) -> Path:
    weights.save(tmp_path / "w.safetensors", trained.best.weights, trained.provenance)
    return tmp_path / "w.safetensors"


def test_attention_finds_the_image_that_decides(
    trained: TrainedFold, path: Path, images: ImageStore
) -> None:
    assert trained.best.epoch.score > 0.9
    net, _, _ = weights.load(path)
    pool = image_pool.of(net.eval())
    assert pool is not None and pool.attention is not None
    run = components(images, data=data(images), **options())
    assert run.loaders.valid is not None
    held_out = FOLDS[FOLDS["fold"] == 0].reset_index(drop=True)
    with torch.inference_mode():
        batches = [net(run.preprocess(batch.inputs)["image"]) for batch in run.loaders.valid]
        scores = pool.attention(torch.cat(batches)).numpy()
    highest = pd.Series(scores).groupby(held_out["unit"]).idxmax()
    assert held_out.loc[highest, "kind"].str.endswith("!").mean() > 0.9


def test_all_images_of_an_id_are_predicted_as_they_were_validated(
    trained: TrainedFold, path: Path, images: ImageStore
) -> None:
    held_out = mixed_order()
    held_out = held_out[held_out["fold"] == 0]
    ids, units = held_out["id"].tolist(), held_out.set_index("id")["unit"]
    predicted = [
        Predictor(path, Predict(views=["identity"], batch_size=size)).predict(
            images, ids, units=units
        )
        for size in (1, 7, 64)
    ]
    for other in predicted:
        assert other.ids == ids
        np.testing.assert_allclose(other.logits, predicted[0].logits, rtol=1e-4, atol=1e-4)
    logits = pd.DataFrame(predicted[0].logits).groupby(units.to_numpy())
    assert (logits.nunique() == 1).all(axis=None)
    right = predicted[0].logits.argmax(axis=1) == data(images).task.targets(
        held_out["label"].tolist()
    )
    first = ~held_out["unit"].duplicated().to_numpy()
    assert right[first].mean() == pytest.approx(trained.best.epoch.score)
    one = [FOLDS.loc[~FOLDS["kind"].str.endswith("!") & FOLDS["fold"].eq(0), "id"].iloc[0]]
    alone = Predictor(path, Predict(views=["identity"])).predict(images, one, units=units)
    assert not np.allclose(alone.logits, predicted[0].logits[[ids.index(one[0])]], atol=0.1)
    with pytest.raises(UserError, match="no ids are given"):
        Predictor(path, Predict(views=["identity"])).predict(images, ids)


def test_within_the_time_limit(path: Path, images: ImageStore) -> None:
    limited = Predict(views=["identity"], batch_size=4, time_limit_minutes=1e-9)
    units = FOLDS.set_index("id")["unit"]
    with pytest.raises(UserError, match="240 images with 1 view:"):
        Predictor(path, limited).enforce_time_limit(images, FOLDS["id"].tolist(), None, units)
    large = pd.Series("one", index=units.index)  # a batch that is larger than all that is measured
    with pytest.raises(UserError, match="240 images with 1 view:"):
        Predictor(path, limited).enforce_time_limit(images, FOLDS["id"].tolist(), None, large)


def test_without_test_images_nothing_is_predicted(path: Path, images: ImageStore) -> None:
    """`prepare.hidden_test`."""
    predictor = Predictor(path, Predict(views=["identity"], batch_size=4))
    assert predictor.predict(images, []).ids == []


def test_an_epoch_has_each_id_once_with_all_its_images(images: ImageStore) -> None:
    run = components(images, data=data(images, mixed_order()), **options())
    dataset, seen = run.loaders.train.dataset, list[str]()
    codes, by_id = run.codec.task.classes, FOLDS.set_index("id")
    run.loaders.train.batch_sampler.set_epoch(1)
    for step, batch in enumerate(run.loaders.train):
        samples = run.loaders.train.batch_sampler.batch(step)
        rows = by_id.loc[[dataset.ids[sample.row] for sample in samples]]
        sizes = batch.inputs["unit_sizes"]
        assert len(batch.targets) == len(sizes) == 6 and len(rows) == sizes.sum()
        assert len(batch.inputs["image"]) == len(rows)
        first = rows.drop_duplicates("unit")
        assert rows["unit"].tolist() == first["unit"].repeat(sizes.numpy()).tolist()
        assert first["label"].tolist() == [codes[target] for target in batch.targets]
        seen += rows.index.tolist()
    counts = by_id.loc[seen, "unit"].value_counts()
    assert len(seen) == len(set(seen)) and len(counts) == 60
    assert counts.to_dict() == FOLDS["unit"].value_counts()[counts.index].to_dict()


def test_an_id_that_is_drawn_twice_in_a_row_counts_twice(images: ImageStore) -> None:
    dataset = components(images, data=data(images), **options()).loaders.train.dataset
    assert dataset.units is not None
    (rows,) = np.nonzero(dataset.units == 2)
    samples = [SampleIndex(row, repeat=n) for n in (0, 1) for row in rows.tolist()]
    batch = dataset.__getitems__(samples)
    assert batch.inputs["unit_sizes"].tolist() == [3, 3] and len(batch.targets) == 2


def test_balanced_classes_are_those_of_ids(images: ImageStore) -> None:
    """One class has ids of many images."""
    folds = FOLDS.assign(label=np.where(FOLDS.index % 2, "circle", "square"))
    folds["label"] = np.where(folds.groupby("unit")["id"].transform("size") > 3, *COLORS)
    changes = options(sampling="balanced", class_weights="balanced")
    run = components(images, data=data(images, folds), **changes)
    assert run.criterion.weights is not None
    torch.testing.assert_close(run.criterion.weights, torch.tensor([60 / 48, 60 / 72]))
    drawn = Tensor()
    for epoch in range(20):
        run.loaders.train.batch_sampler.set_epoch(epoch)
        drawn = torch.cat([drawn, *(batch.targets for batch in run.loaders.train)])
    assert abs(drawn.float().mean() - 0.5) < 0.05


def test_each_id_has_the_same_weight_in_the_loss(images: ImageStore) -> None:
    run = components(images, data=data(images), **options(batch_size=60))
    state, batch = TrainState(run), next(iter(run.loaders.train))
    for _ in loop.train_epoch(run, state):
        pass
    run = components(images, data=data(images), **options(batch_size=60))
    run.net.train()
    outputs = inputs.forward(run.net, run.preprocess(batch.inputs))
    loss = torch.nn.functional.cross_entropy(outputs, batch.targets)
    assert len(outputs) == 60
    assert state.step_losses.item() == pytest.approx(loss.item(), rel=1e-4)


@pytest.mark.slow
def test_a_killed_run_and_one_with_workers_give_the_same_weights(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(images, data=data(images), **EVERYTHING)
    saves = 0
    while True:
        saves = saves % 5 + 2
        try:
            with KilledAfterSaves(tmp_path / "killed", saves) as checkpoints:
                killed = train(images, checkpoints, data=data(images), **EVERYTHING)
            break
        except Killed:
            continue
    assert same_weights(killed.best.weights, whole.best.weights)
    monkeypatch.setenv("PODIUM_WORKERS", "2")
    other = train(images, data=data(images), **EVERYTHING)
    assert same_weights(other.best.weights, whole.best.weights)


@pytest.mark.slow
def test_augmentation_in_batches_shards_and_micro_batches(images: ImageStore) -> None:
    """They give the same up to rounding."""
    plain = options(architecture="test_vit", augment=[{"HorizontalFlip": {"p": 0.5}}])
    plain["phases"] = [{"epochs": 1, "lr": 0.01, "optimizer": "sgd"}]

    def losses(micro_batches: int = 1, **changes: Any) -> Tensor:
        run = components(images, data=data(images), **(plain | changes))
        state = TrainState(run, micro_batches=micro_batches)
        for _ in loop.train_epoch(run, state):
            pass
        return state.step_losses

    expected = losses()
    for other in (losses(augment_on="gpu"), losses(shards=3), losses(3)):
        torch.testing.assert_close(other, expected, rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_pool": "mean"},
        {"loss": "arcface"},
        {"average_checkpoints": {"last": 2}, "phases": [{"epochs": 2, "lr": 0.01}]},
        {"phases": [{"epochs": 3, "lr": 0.01, "trainable": {"gradual": 1}}]},
        {"phases": [{"epochs": 1, "lr": 0.01, "trainable": {"last": 1}, "init_from": "probe"}]},
    ],
    ids=str,
)
def test_other_options(changes: dict[str, Any], images: ImageStore) -> None:
    trained = train(images, data=data(images), **options(**changes))
    assert trained.best.weights.keys() >= {"image_pool.classifier.weight"}


def test_the_head_from_a_probe_predicts_better_than_chance(images: ImageStore) -> None:
    phases = [{"epochs": 1, "lr": 1e-9, "trainable": "head", "init_from": "probe"}]
    best = train(images, data=data(images), **options(phases=phases)).best
    assert best.epoch.score > 0.6


def test_columns_of_the_images(images: ImageStore) -> None:
    hints = FOLDS["label"].str.upper().tolist()
    metadata = pd.DataFrame({"hint": hints}, index=FOLDS["id"].tolist())
    with_columns = data(images, mixed_order())._replace(metadata=metadata)
    phases = [{"epochs": 4, "lr": 0.03}]
    trained = train(images, data=with_columns, **options(metadata={}, phases=phases))
    assert trained.best.epoch.score > 0.9
    assert isinstance(trained.provenance, TrainingProvenance) and trained.provenance.metadata


def test_images_without_ids_are_an_error(images: ImageStore) -> None:
    with pytest.raises(UserError, match="image_pool: attention requires that training images"):
        train(images, data=training_data(images, FOLDS.drop(columns=["unit", "kind"])), **options())


def test_memory_is_measured_with_the_largest_ids(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = components(images, data=data(images), **options())
    largest = run.loaders.train.dataset.largest(2)
    assert [*FOLDS.groupby("unit", sort=False).size().loc[["h9", "h24"]]] == [5, 5]
    assert len(largest) == 10
    counts = list[int]()
    forward = inputs.forward

    def counting(model: Any, batch: inputs.Inputs) -> Tensor:
        counts.append(len(batch["image"]))
        return forward(model, batch)

    monkeypatch.setattr(inputs, "forward", counting)
    trial = memory.Trial(run)
    for size in (4, 20):  # there are 12 ids with five images
        trial.memory_share(size)
    assert counts == [20, 20, 92, 92]


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_the_settings_are_verified_with_the_largest_ids_each_once(
    images: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampling: str
) -> None:
    run = components(images, data=data(images), **options(batch_size=20, sampling=sampling))
    seen = list[list[int]]()
    forward = inputs.forward

    def noting(model: Any, batch: inputs.Inputs) -> Tensor:
        seen.append(sorted(batch["unit_sizes"].tolist()))
        return forward(model, batch)

    monkeypatch.setattr(inputs, "forward", noting)
    with Checkpoints(tmp_path / "x") as checkpoints:
        preflight.verify(run, metric=ACCURACY, checkpoints=checkpoints)
    assert seen == [[4] * 8 + [5] * 12]


def test_a_device_without_memory_for_two_ids_is_an_error_about_ids(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(inputs, "forward", full)
    with pytest.raises(UserError, match="2 ids do not fit the memory"):
        train(images, data=data(images), **options())


def test_the_worst_predictions_are_drawn(trained: TrainedFold, images: ImageStore) -> None:
    run = components(images, data=data(images), **options())
    picture = worst.picture(run, TrainState(run), trained.best)
    assert picture is not None and picture.ndim == 3


@pytest.mark.parametrize("image_pool", ["attention", None])
def test_each_id_is_drawn_once_with_its_images(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, image_pool: str | None
) -> None:
    names, shapes = list[str](), list[tuple[int, ...]]()

    def sheet(pictures: list[np.ndarray], titles: list[str]) -> np.ndarray:
        shapes.extend(picture.shape for picture in pictures)
        names.extend(title.partition("\n")[0] for title in titles)
        return pictures[0]

    monkeypatch.setattr(worst, "_sheet", sheet)
    run = components(images, data=data(images), **options(image_pool=image_pool))
    best = train(images, data=data(images), **options(image_pool=image_pool)).best
    worst.picture(run, TrainState(run), best)
    held_out = FOLDS[FOLDS["fold"] == 0].groupby("unit").size()
    assert len({*names}) == len(names) == 16 and {*names} <= {*held_out.index}
    sides = [32 if held_out[name] == 1 else 64 for name in names]
    assert [shape[:2] for shape in shapes] == [(side, side) for side in sides]


def test_the_time_is_measured(images: ImageStore) -> None:
    measured = timing.measure_model(
        config(**options()),
        data(images),
        ToPredict(images, FOLDS["id"].tolist(), Predict(views=["identity"])),
        fold=0,
        seed=1,
    )
    assert measured.batch_size == 18 and measured.split[:2] == (180, 60)


def test_the_range_of_learning_rates(images: ImageStore) -> None:
    run = components(images, data=data(images), **options())
    curve = lr_range.range_test(run, 1, low=1e-6, high=1e-3, steps=12)
    assert len(curve) == 12 and curve["loss"].between(0, 5).all()


def test_the_heat_map_of_an_image(tmp_path: Path, images: ImageStore) -> None:
    trained = train(images, data=data(images), **options(image_size=64))
    weights.save(tmp_path / "w", trained.best.weights, trained.provenance)
    image = FOLDS["id"].iloc[0]
    pixels, heats = Explainer(tmp_path / "w").explain(images, [image, image], [0, 1])
    assert len(pixels) == len(heats) == 2 and heats.max() == 1
