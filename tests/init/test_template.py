"""The params.yaml that `make init` writes, for the data and the device."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from podium.config.models import Model
from podium.core import params_file
from podium.dataset.tables import Tables
from podium.images import augment
from podium.init import defaults, facts, template, weights
from podium.init.budget import Choice
from podium.init.facts import Device
from podium.init.layout import Layout
from podium.init.measured import Kind, Measured
from podium.init.survey import ImageStats
from podium.init.weights import Weights
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
PHOTO = ImageStats(480, 640, grayscale=False)
DIGIT = ImageStats(28, 28, grayscale=True)
THUMBNAIL = ImageStats(32, 32, grayscale=False)


def layout(**change: Any) -> Layout:
    return Layout(**{"prepare": {**PREPARE}, "metric": "accuracy", "image_stats": PHOTO, **change})


def tables(counts: dict[str, int], groups: int | None = None) -> Tables:
    labels = [name for name, count in counts.items() for _ in range(count)]
    train = pd.DataFrame({"id": [f"{n}" for n in range(len(labels))], "label": labels})
    if groups is not None:
        train["group"] = [f"g{n % groups}" for n in range(len(labels))]
    ids = pd.DataFrame({"id": ["a", "b"]})
    return Tables(train, ids, ids.assign(label=""), [*counts])


THREE_CLASSES = tables({"cat": 400, "dog": 300, "owl": 300})


def render(
    layout: Layout, tables: Tables = THREE_CLASSES, device: Device = "cpu", **more: Any
) -> tuple[str, Params]:
    more = {"source": "../x.zip", **more}
    text = template.render(layout, tables, slug="x", device=device, **more)
    return text, schema.validate(params_file.parse(text, source="text"), source="text")


def only_model(params: Params) -> Model:
    (model,) = params.models.values()
    return model


def test_it_has_the_shipped_sections_keys_and_comments() -> None:
    text, _ = render(layout())
    shipped = (ROOT / "params.yaml").read_text()
    written, expected = YAML(typ="safe").load(text), YAML(typ="safe").load(shipped)
    assert [*written] == [*expected]
    for section in ("competition", "prepare", "folds", "ensemble", "submission", "checkpoint"):
        assert [*written[section]] == [*expected[section]], section
    comments = {line.partition("# ")[2] for line in shipped.splitlines()[2:]}
    assert {comment for comment in comments if comment not in text} == set()
    assert max(map(len, text.splitlines())) <= max(100, *map(len, shipped.splitlines()))


def test_sections_are_separated_and_comments_are_aligned() -> None:
    text, _ = render(layout(), device="cuda")
    lines = text.splitlines()
    sections = [
        n for n, line in enumerate(lines) if line and line[0].isalpha() and "# " not in line
    ]
    assert len(sections) >= 7 and all(lines[n - 1] == "" for n in sections)
    prepare = text.partition("\nprepare:\n")[2].partition("\n\n")[0]
    columns = {line.index(" # ") for line in prepare.splitlines() if " # " in line}
    assert len(columns) <= 2  # one name is too long


def test_its_header_describes_the_data() -> None:
    first, second, *_ = render(layout())[0].splitlines()
    assert "1,000 training" in first and "2 test" in first and "3 classes" in first
    assert second == "# cat 400, dog 300, owl 300"
    many = tables({f"class number {n}": 2 for n in range(200)})
    header = render(layout(), many)[0].splitlines()[1]
    assert len(header) <= 120 and "200" in header


def test_a_gpu_gets_two_larger_models() -> None:
    text, params = render(layout(), device="cuda")
    models = params.models
    assert [(m.architecture, m.image_size) for m in models.values()] == [
        ("convnext_tiny.fb_in22k_ft_in1k", 224),
        ("tf_efficientnetv2_s.in21k_ft_in1k", 300),
    ]
    assert text.count("convnext: &base\n") == 1 and text.count("<<: *base\n") == 1
    first = models["convnext"]
    assert (first.augment, first.batch_size, params.folds.count) == ("medium", 32, 5)
    assert [(p.epochs, p.trainable, p.lr, p.backbone_lr) for p in first.phases] == [
        (2, "head", 3e-3, None),
        (10, "all", 5e-4, 1e-4),
    ]
    assert models["efficientnet"].phases == first.phases
    assert params.ensemble.members == ["convnext", "efficientnet", "probe"]
    assert params.prepare.max_size == 345


def test_a_cpu_gets_one_small_model() -> None:
    text, params = render(layout())
    model = only_model(params)
    assert (model.architecture, model.image_size, model.batch_size) == ("mobilenetv2_100", 160, 16)
    assert (model.weight_decay, model.dropout, model.label_smoothing) == (0.05, 0.2, 0.1)
    assert [(p.epochs, p.trainable) for p in model.phases] == [(4, "head"), (4, "all")]
    assert (params.folds.count, params.prepare.max_size) == (3, 184)
    assert "&" not in text  # no anchor without an alias


def test_what_fits_a_limit_on_the_time_is_written() -> None:
    kinds = (Kind("crop", 160), Kind("crop", 224))
    net = defaults.Model("mobilenet", "mobilenetv2_100", 192)
    text, params = render(layout(), choice=Choice(4, kinds, (net,), 5))
    assert params.folds.count == 4 and params.folds.run == [0, 1, 2, 3]
    assert params.ensemble.members == ["mobilenet", "probe"]
    assert params.probes["probe"].features == ["crop-160", "crop-224"]
    (phase,) = params.models["mobilenet"].phases
    assert (phase.epochs, phase.init_from) == (5, "probe")
    assert params.models["mobilenet"].image_size == 192
    assert params.models["mobilenet"].label_smoothing == 0
    assert params.prepare.max_size == 258  # 1.15 * 224
    assert "mobilenet:" in text


def test_without_time_for_a_model_there_is_only_a_probe() -> None:
    text, params = render(layout(), choice=Choice(3, (Kind("pad", 160),)))
    assert "\nmodels: {}" in text and params.models == {}
    assert params.ensemble.members == ["probe"] and params.ensemble.method == "mean"
    assert params.embeddings["pad-160"].architecture == "mobilenetv2_100"
    assert params.prepare.max_size == 184


def test_without_a_probe_the_head_is_trained_first() -> None:
    net = defaults.Model("mobilenet", "mobilenetv2_100", 160)
    many = tables({"cat": 15_000, "dog": 15_000})
    _, params = render(layout(), many, choice=Choice(3, (), (net,), 2))
    first, second = params.models["mobilenet"].phases
    assert (first.epochs, first.trainable, second.epochs) == (1, "head", 2)
    assert params.ensemble.members == ["mobilenet"] and not params.embeddings


def test_models_get_the_size_that_was_measured_for_tiny_images() -> None:
    small = Measured([], 400, "crop", 96, (Kind("crop", 96),))
    _, params = render(layout(), measured=small)
    assert only_model(params).image_size == 96


def test_what_was_measured_decides_how_images_become_square_and_what_the_probe_sees() -> None:
    kinds = (Kind("pad", 224), Kind("crop", 224), Kind("crop", 160))
    result = Measured([], 400, "pad", None, kinds)
    text, params = render(layout(), measured=result)
    model, embeddings = only_model(params), params.embeddings
    assert model.resize_mode == "pad"
    assert isinstance(model.augment, list) and "HorizontalFlip" in model.augment[0]  # pads first
    assert [(e.resize_mode, e.image_size) for e in embeddings.values()] == [*kinds]
    assert {e.architecture for e in embeddings.values()} == {model.architecture}
    assert params.probes["probe"].features == [*embeddings] == ["pad-224", "crop-224", "crop-160"]
    assert (params.ensemble.members, params.ensemble.method) == (
        ["mobilenet", "probe"],
        "weighted",
    )
    assert params.prepare.max_size == round(1.15 * 224)
    assert text.count("*frozen") == 2


def test_without_a_measurement_the_probe_sees_what_the_model_sees() -> None:
    text, params = render(layout())
    (embedding,) = params.embeddings.values()
    model = only_model(params)
    assert embedding.image_size == model.image_size and embedding.resize_mode == "crop"
    assert "frozen" not in text.partition("embeddings:")[2].partition("#")[0]


def test_a_probe_of_numbers_is_ridge_regression() -> None:
    numbers = tables({"1.5": 200, "2.5": 200})
    _, params = render(layout(task="regression", metric="rmse"), numbers)
    assert params.probes["probe"].head == "ridge"


def test_with_few_images_per_class_training_starts_from_a_probe() -> None:
    few = tables({f"species {n}": 7 for n in range(99)})
    _, params = render(layout(metric="log_loss"), few)
    (phase,) = only_model(params).phases
    assert (phase.init_from, phase.epochs, phase.trainable) == ("probe", 8, "all")
    assert only_model(params).label_smoothing == 0 and params.folds.count == 3
    two = tables({"a": 15, "b": 15})  # few images, but few classes, too
    assert only_model(render(layout(), two)[1]).phases[0].init_from == "last"


def test_very_many_images_get_no_probe() -> None:
    _, params = render(layout(), tables({"a": 12_000, "b": 12_000}))
    assert params.probes == params.embeddings == {}
    assert (params.ensemble.members, params.ensemble.method) == (["mobilenet"], "mean")


@pytest.mark.parametrize(
    ("device", "side", "architecture", "size"),
    [
        ("cpu", 28, "resnet10t", 32),
        ("cpu", 33, "resnet10t", 64),
        ("cuda", 64, "resnet18", 64),
        ("cuda", 65, "convnext_tiny.fb_in22k_ft_in1k", 224),
    ],
)
def test_tiny_images_get_a_small_model(
    device: Device, side: int, architecture: str, size: int
) -> None:
    stats = ImageStats(side, 90, grayscale=False)
    first = next(iter(render(layout(image_stats=stats), device=device)[1].models.values()))
    assert (first.architecture, first.image_size) == (architecture, size)


def test_digits_are_neither_mirrored_in_training_nor_in_prediction() -> None:
    digits, thumbnails = (render(layout(image_stats=s))[1] for s in (DIGIT, THUMBNAIL))
    assert "Flip" not in str(only_model(digits).augment)
    assert digits.predict.views == ["identity"] and digits.prepare.max_size is None
    assert "HorizontalFlip" in str(only_model(thumbnails).augment)
    assert thumbnails.predict.views == ["identity", "hflip"]


@pytest.mark.parametrize("stats", [PHOTO, DIGIT, THUMBNAIL])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_training_sees_the_aspect_ratio_that_validation_sees(
    stats: ImageStats, device: Device
) -> None:
    _, params = render(layout(image_stats=stats), device=device)
    for model in params.models.values():
        size, resize_mode = model.image_size, model.resize_mode
        validation = augment.Augmentation("none", size=size, resize_mode=resize_mode)
        training = augment.Augmentation(model.augment, size=size, resize_mode=resize_mode)
        keys = [np.random.default_rng(n).bytes(16) for n in range(40)]
        seen = np.mean([np.log(aspect_ratio(training, key)) for key in keys])
        assert abs(seen - np.log(aspect_ratio(validation, keys[0]))) < 0.25


def aspect_ratio(augmentation: augment.Augmentation, key: bytes) -> float:
    """How many times narrower an object in an image of 200 x 300 pixels becomes."""
    y, x = np.mgrid[:200, :300]
    ramps = np.stack([x * 250 / 300, y * 250 / 200, 0 * x], axis=2).round().astype(np.uint8)
    seen = augmentation(ramps, key).astype(float)
    size = seen.shape[0]
    center = seen[size // 4 : -size // 4, size // 4 : -size // 4]
    along_x = np.abs(center[:, -1, 0] - center[:, 0, 0]).mean() * 300
    along_y = np.abs(center[-1, :, 1] - center[0, :, 1]).mean() * 200
    return float(along_x / along_y)


@pytest.mark.parametrize("stats", [PHOTO, DIGIT, THUMBNAIL])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_its_architectures_have_pretrained_weights(stats: ImageStats, device: Device) -> None:
    import timm

    _, params = render(layout(image_stats=stats), device=device)
    for model in params.models.values():
        assert timm.is_model_pretrained(model.architecture), model.architecture


@pytest.mark.parametrize(
    ("counts", "groups", "device", "folds"),
    [
        ({"a": 400, "b": 100}, None, "cpu", 3),
        ({"a": 300, "b": 100}, None, "cpu", 5),
        ({"a": 400, "b": 200}, None, "cuda", 5),
        ({"a": 400, "b": 2}, None, "cuda", 2),
        ({"a": 400, "b": 1}, None, "cuda", 5),
        ({"a": 400, "b": 3, "none": 0}, None, "cuda", 3),
        ({"a": 400, "b": 200, "c": 2}, None, "cuda", 5),
        ({"a": 400, "b": 200}, 4, "cuda", 4),
    ],
)
def test_there_are_at_most_as_many_folds_as_images_of_the_rarer_of_two_classes(
    counts: dict[str, int], groups: int | None, device: Device, folds: int
) -> None:
    _, params = render(layout(), tables(counts, groups), device=device)
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
def test_classes_are_weighted_if_the_metric_counts_them_equally(
    task: str, metric: str, counts: dict[str, int], weights: str | None
) -> None:
    model = only_model(render(layout(task=task, metric=metric), tables(counts))[1])
    assert model.class_weights == weights
    assert model.label_smoothing == (0.1 if task == "multiclass" else 0)


@pytest.mark.parametrize(("images", "batch_size"), [(49, 8), (50, 16)])
def test_few_images_get_small_batches(images: int, batch_size: int) -> None:
    content = tables({"a": 25, "b": images - 25})
    assert only_model(render(layout(), content)[1]).batch_size == batch_size


@pytest.mark.parametrize("task", ["multilabel", "regression", "ordinal", "binary"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_it_is_valid_for_each_task(task: str, device: Device) -> None:
    metrics = {"multilabel": "samples_f1", "regression": "rmse", "binary": "roc_auc"}
    metric = metrics.get(task, "mae")
    counts = {"0": 30, "1": 30, "2": 0 if task == "binary" else 20}
    has_lists = task == "multilabel"
    prepare = {**PREPARE, "label_separator": "|"} if has_lists else PREPARE
    format_ = {"format": "labels", "separator": ";"} if has_lists else {"format": "auto"}
    config = layout(task=task, metric=metric, prepare=prepare, submission=format_)
    _, params = render(config, tables(counts), device=device)
    assert (params.task, params.metric) == (task, metric)
    assert params.prepare.label_separator == ("|" if has_lists else " ")
    assert params.submission.model_dump(exclude_none=True) == format_


def test_a_weights_file_determines_the_architecture() -> None:
    path = "../shared/weights/mobilenetv2_100-imagenet-backbone.safetensors"
    assert weights.architecture_of(path) == "mobilenetv2_100"
    assert weights.architecture_of("weights/model.safetensors") is None
    _, params = render(layout(), device="cuda", weights=Weights(path, "mobilenetv2_100"))
    assert [*params.models] == ["mobilenetv2_100"]
    model = only_model(params)
    assert (model.architecture, model.pretrained) == ("mobilenetv2_100", path)
    _, params = render(layout(), device="cuda", weights=Weights("model.safetensors", None))
    assert only_model(params).pretrained == "model.safetensors"


AWKWARD = ("no", "null", "1e3", "a: b", "- x", "#1", "", " x", "é ü", 'say "x"', "a\nb", "~",
           "[1]", "a # b", r"\d", "'", "x" * 120, "\u2028", "&a", "*a", "!a", "0x1")  # fmt: skip


@pytest.mark.parametrize("value", AWKWARD)
def test_any_column_and_path_is_written_as_it_is(value: str) -> None:
    prepare = {**PREPARE, "label_column": [value, "other"], "id_column": f"{value}."}
    _, params = render(layout(prepare=prepare), source=value or "x")
    assert params.prepare.label_column == [value, "other"]
    assert params.prepare.id_column == f"{value}."
    assert params.competition.source == (value or "x")


def test_a_path_with_spaces_is_quoted() -> None:
    assert 'source: "My data (1).zip"' in render(layout(), source="My data (1).zip")[0]


def test_class_names_cannot_break_the_header() -> None:
    text, params = render(layout(), tables({"a\nseed: 1": 3, "b\x00\u2028c": 3, "#": 4}))
    assert params.seed == 42 and text.splitlines()[1] == "# a seed: 1 3, b c 3, # 4"


@pytest.mark.parametrize(("is_available", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_device_is_detected(
    is_available: bool, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert facts.detect_device() == device


def test_the_template_is_the_shipped_params_file() -> None:
    """A user's `make init` overwrites params.yaml; after an edit, copy it to the template."""
    assert template.TEMPLATE.read_text() == (ROOT / "params.yaml").read_text()
