"""The params.yaml that `make init` writes, for the data and the device."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from podium.core import params_file
from podium.dataset.tables import Tables
from podium.images import augment
from podium.init import defaults, params_text, yaml_text
from podium.init.layout import Layout
from podium.init.survey import Look
from podium.params import schema
from podium.params.schema import Params

PREPARE: dict[str, Any] = {
    "train_csv": "train.csv",
    "test_csv": "test.csv",
    "sample_submission": None,
    "id_column": "id",
    "label_column": "label",
    "group_column": None,
    "train_images": "train",
    "test_images": "test",
}
PHOTO = Look(480, 640, grey=False)


def layout(**change: Any) -> Layout:
    return Layout(**{"prepare": {**PREPARE}, "metric": "accuracy", "look": PHOTO, **change})


def tables(counts: dict[str, int], groups: int | None = None) -> Tables:
    labels = [name for name, count in counts.items() for _ in range(count)]
    train = pd.DataFrame({"id": [f"{n}" for n in range(len(labels))], "label": labels})
    if groups is not None:
        train["group"] = [f"g{n % groups}" for n in range(len(labels))]
    ids = pd.DataFrame({"id": ["a", "b"]})
    return Tables(train, ids, ids.assign(label=""), [*counts])


SOME = tables({"cat": 400, "dog": 300, "owl": 300})


def write(made: Layout, found: Tables = SOME, on: str = "cpu", **more: Any) -> tuple[str, Params]:
    text = params_text.write(made, found, source="../x.zip", slug="x", on=on, **more)
    return text, schema.validate(params_file.parse(text, source="starter"), source="starter")


def test_it_has_the_sections_of_the_projects_own_in_their_order() -> None:
    text, _ = write(layout())
    own = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    made = YAML(typ="safe").load(text)
    assert [*made] == [*own]
    for section in ("competition", "prepare", "folds", "ensemble", "submission", "checkpoint"):
        assert set(own[section]) <= set(made[section]), section
    assert max(map(len, text.splitlines())) <= 100


def test_its_head_says_what_the_data_are() -> None:
    text, _ = write(layout())
    assert text.splitlines()[:2] == [
        "# x: 1,000 training images, 2 test images, 3 classes.",
        "# cat 400, dog 300, owl 300",
    ]
    many = tables({f"class number {n}": 2 for n in range(200)})
    head = write(layout(), many)[0].splitlines()[1]
    assert len(head) <= 120 and head.endswith("… (200 in all)")


def test_a_gpu_gets_two_larger_models() -> None:
    _, params = write(layout(), on="cuda")
    models = params.models
    assert [(m.architecture, m.image_size) for m in models.values()] == [
        ("convnext_tiny.fb_in22k_ft_in1k", 224),
        ("tf_efficientnetv2_s.in21k_ft_in1k", 300),
    ]
    first = models["convnext"]
    assert (first.augment, first.batch_size, params.folds.count) == ("medium", 32, 5)
    assert [(p.epochs, p.trainable, p.lr, p.backbone_lr) for p in first.phases] == [
        (2, "head", 3e-3, None),
        (10, "all", 5e-4, 1e-4),
    ]
    assert params.ensemble.members == ["convnext", "efficientnet"]
    assert params.prepare.max_size == 345


def test_a_cpu_gets_what_the_weather_recipe_has() -> None:
    _, params = write(layout())
    ((_, made),) = params.models.items()
    recipe = YAML(typ="safe").load((ROOT / "recipes/weather.yaml").read_text())
    (known,) = recipe["models"].values()
    dumped = made.model_dump(exclude_unset=True)
    for key in (
        "architecture",
        "image_size",
        "resize_mode",
        "batch_size",
        "weight_decay",
        "dropout",
    ):
        assert dumped[key] == known[key], key
    assert dumped["label_smoothing"] == known["label_smoothing"]
    assert dumped["phases"] == known["phases"]
    assert params.folds.count == 3
    assert params.prepare.max_size == 184


@pytest.mark.parametrize(
    ("on", "side", "architecture", "size"),
    [
        ("cpu", 28, "resnet10t", 32),
        ("cpu", 33, "resnet10t", 64),
        ("cuda", 64, "resnet18", 64),
        ("cuda", 65, "convnext_tiny.fb_in22k_ft_in1k", 224),
    ],
)
def test_tiny_pictures_get_a_small_model(on: str, side: int, architecture: str, size: int) -> None:
    _, params = write(layout(look=Look(side, 90, grey=True)), on=on)
    first = next(iter(params.models.values()))
    assert (first.architecture, first.image_size, first.resize_mode) == (
        architecture,
        size,
        "squash",
    )


def test_digits_are_neither_mirrored_in_training_nor_for_the_test() -> None:
    grey, colour = (write(layout(look=Look(28, 28, grey=grey)))[1] for grey in (True, False))
    (model,) = grey.models.values()
    assert [*model.augment[0]] == ["Affine"]  # type: ignore[misc]
    assert grey.predict.views == ["identity"] and grey.prepare.max_size is None
    (model,) = colour.models.values()
    assert [*model.augment[1]] == ["HorizontalFlip"]  # type: ignore[misc]
    assert colour.predict.views == ["identity", "hflip"]


@pytest.mark.parametrize("look", [PHOTO, Look(28, 28, grey=True), Look(32, 32, grey=False)])
@pytest.mark.parametrize("on", ["cpu", "cuda"])
def test_its_architectures_and_augmentations_exist(look: Look, on: str) -> None:
    import timm

    _, params = write(layout(look=look), on=on)
    for model in params.models.values():
        assert timm.is_model_pretrained(model.architecture), model.architecture
        augment.Augmentation(model.augment, size=model.image_size, resize_mode=model.resize_mode)


@pytest.mark.parametrize(
    ("counts", "groups", "on", "folds"),
    [
        ({"a": 400, "b": 100}, None, "cpu", 3),
        ({"a": 300, "b": 100}, None, "cpu", 5),
        ({"a": 400, "b": 200}, None, "cuda", 5),
        ({"a": 400, "b": 2}, None, "cuda", 2),
        ({"a": 400, "b": 1}, None, "cuda", 5),
        ({"a": 400, "b": 3, "none": 0}, None, "cuda", 3),
        ({"a": 400, "b": 200}, 4, "cuda", 4),
    ],
)
def test_folds_are_no_more_than_the_rarest_class_has_images(
    counts: dict[str, int], groups: int | None, on: str, folds: int
) -> None:
    _, params = write(layout(), tables(counts, groups), on=on)
    assert params.folds.count == folds and params.folds.run == [*range(folds)]


@pytest.mark.parametrize(
    ("task", "metric", "counts", "weights"),
    [
        ("multiclass", "macro_f1", {"a": 300, "b": 20, "c": 20}, "balanced"),
        ("multiclass", "macro_f1", {"a": 200, "b": 20, "c": 20}, None),
        ("multiclass", "accuracy", {"a": 300, "b": 20, "c": 20}, None),
        ("binary", "balanced_accuracy", {"a": 300, "b": 20}, "balanced"),
        ("multiclass", "macro_f1", {"a": 300, "b": 20, "c": 0}, None),
        ("ordinal", "macro_f1", {"0": 300, "1": 20, "2": 20}, None),
    ],
)
def test_classes_are_weighed_where_the_metric_counts_rare_ones_as_much(
    task: str, metric: str, counts: dict[str, int], weights: str | None
) -> None:
    _, params = write(layout(task=task, metric=metric), tables(counts))
    (model,) = params.models.values()
    assert model.class_weights == weights
    assert model.label_smoothing == (0.1 if task == "multiclass" else 0)


def test_few_images_get_small_batches() -> None:
    assert (
        next(iter(write(layout(), tables({"a": 30, "b": 19}))[1].models.values())).batch_size == 8
    )
    assert (
        next(iter(write(layout(), tables({"a": 30, "b": 20}))[1].models.values())).batch_size == 16
    )


@pytest.mark.parametrize("task", ["multilabel", "regression", "ordinal", "binary"])
@pytest.mark.parametrize("on", ["cpu", "cuda"])
def test_it_is_valid_for_each_task(task: str, on: str) -> None:
    metric = {"multilabel": "samples_f1", "regression": "rmse", "binary": "roc_auc"}.get(
        task, "mae"
    )
    counts = {"0": 30, "1": 30, "2": 0 if task == "binary" else 20}
    several = task == "multilabel"
    prepare = {**PREPARE, "label_separator": "|"} if several else PREPARE
    marks = {"format": "labels", "separator": ";"} if several else {"format": "number"}
    _, params = write(
        layout(task=task, metric=metric, prepare=prepare, **marks), tables(counts), on=on
    )
    assert (params.task, params.metric) == (task, metric)
    assert params.prepare.label_separator == ("|" if several else " ")
    assert params.submission.model_dump(exclude_none=True) == marks


def test_weights_at_hand_name_their_architecture() -> None:
    path = "../shared/weights/mobilenetv2_100-imagenet-backbone.safetensors"
    assert defaults.architecture_of(path) == "mobilenetv2_100"
    assert defaults.architecture_of("weights/model.safetensors") is None
    _, params = write(layout(), on="cuda", pretrained=path, architecture="mobilenetv2_100")
    ((name, model),) = params.models.items()
    assert (name, model.architecture) == ("mobilenetv2_100", "mobilenetv2_100")
    assert model.pretrained == path
    _, params = write(layout(), on="cuda", pretrained="model.safetensors")
    assert len(params.models) == 1


AWKWARD = ("no", "null", "1e3", "a: b", "- x", "#1", "", " x", "é ü", 'say "x"', "a\nb", "~", "[1]")


@pytest.mark.parametrize("value", AWKWARD)
def test_any_column_name_is_written_as_it_is(value: str) -> None:
    assert YAML(typ="safe").load(f"key: {yaml_text.scalar(value)}") == {"key": value}
    columns = [value, "other"]
    _, params = write(layout(prepare={**PREPARE, "label_column": columns, "id_column": "the id"}))
    assert params.prepare.label_column == columns


def test_class_names_cannot_break_its_head() -> None:
    odd = tables({"a\nseed: 1": 3, "b\x00\u2028c": 3, "#": 4})
    text, params = write(layout(), odd)
    assert params.seed == 42 and text.splitlines()[1] == "# a seed: 1 3, b c 3, # 4"


def test_the_device_is_the_one_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    found: Callable[[], bool] = lambda: True  # noqa: E731
    monkeypatch.setattr(torch.cuda, "is_available", found)
    assert defaults.device() == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert defaults.device() == "cpu"
