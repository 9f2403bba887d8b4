"""A first params.yaml for a competition: sensible models and settings for its data and a device."""

from collections.abc import Iterator
from typing import Any

from podium.dataset.tables import Tables
from podium.init.defaults import (
    Data,
    Model,
    batch_size,
    data_of,
    fold_count,
    is_uneven,
    max_size,
    models_for,
)
from podium.init.layout import Layout
from podium.init.yaml_text import keys, plain


def write(
    layout: Layout,
    found: Tables,
    *,
    source: str,
    slug: str,
    on: str,
    pretrained: str | None = None,
    architecture: str | None = None,
) -> str:
    """The text of params.yaml.

    Args:
        layout: how the competition is laid out, and what it wants.
        found: its tables, as read with that layout.
        source: competition.source.
        slug: competition.slug.
        on: the device, "cuda" or "cpu".
        pretrained: the path of a file of weights; None: timm's from the hub.
        architecture: that the file is of, if known.
    """
    data = data_of(layout, found)
    models = models_for(layout, data, on, architecture)
    if pretrained is not None:
        models = models[:1]  # one file of weights is for one of them
    sections = (
        _top(layout, data, found.classes, slug),
        _competition(source, slug),
        _prepare(layout, models),
        _folds(data, on),
        ["checkpoint:", *keys(2, ("every_minutes", 10, "and after each epoch"))],
        _models(layout, data, models, on, True if pretrained is None else pretrained),
        _predict(data),
        _ensemble(models),
        _submission(layout),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _top(layout: Layout, data: Data, classes: list[str], slug: str) -> list[str]:
    kinds = (
        f"{len(classes)} classes"
        if layout.task != "regression"
        else f"numbers: {plain(classes[0])}"
    )
    lines = [
        f"# {slug}: {data.train:,} training images, {data.test:,} test images, {kinds}.",
        *_counts(layout, data, classes),
        "# Written by `make init`. Edit, then `dvc repro`: only what an edit concerns runs again.",
        "# docs/params.md explains every key.",
        "",
    ]
    return lines + keys(
        0,
        ("seed", 42, "of the folds, the weights' start, the order of images, the augmentation"),
        ("deterministic", True, "false: faster on a GPU, no longer the same to the byte"),
        ("task", layout.task, "binary | multiclass | multilabel | ordinal | regression"),
        ("metric", layout.metric, "chooses the best epoch: see the competition's page"),
    )


def _counts(layout: Layout, data: Data, classes: list[str]) -> Iterator[str]:
    """The classes with their images, in a comment of a line or two."""
    if layout.task == "regression":
        return
    shown = [f"{name} {data.counts[name]:,}" if data.counts else name for name in classes]
    line = "# "
    for place, item in enumerate(shown):
        part = plain(item) + (", " if place < len(shown) - 1 else "")
        if len(line) + len(part) > 96:
            yield f"{line}… ({len(classes)} in all)"
            return
        line += part
    yield line.rstrip()


def _competition(source: str, slug: str) -> list[str]:
    return [
        "competition:",
        *keys(
            2,
            ("source", source, "builtin | kaggle | the path of a folder or zip"),
            ("slug", slug, "its name on Kaggle; names submissions/<slug>.csv"),
            ("solution", None, "a CSV with the test labels, if you have them"),
        ),
    ]


COMMENTS = {
    "train_csv": "null: the labels are the folders of train_images",
    "test_csv": "null: the ids of the sample submission, else the files",
    "sample_submission": "null: id_column and label_column",
    "id_column": "null: the rows' numbers, from 1",
    "label_column": "or a list: one column a class",
    "label_pattern": "a regular expression: the label in a file's name",
    "label_separator": "between several labels in one column",
    "label_variants": "labels that differ in case or spaces only: error | merge | keep",
    "group_column": "images of one group (patient, scene) never stand in two folds",
    "train_images": "folder in the archive",
    "test_images": "",
    "pixel_columns": "the images stand in the tables: columns of this name and a number",
    "pixel_order": "interleaved | planar: R, G, B of each pixel, or all R, all G, all B",
    "on_bad_image": "error | skip | blank: what cannot be decoded, or is missing",
}


def _prepare(layout: Layout, models: list[Model]) -> list[str]:
    values = {"id_column": "id", "label_column": "label", "group_column": None, **layout.prepare}
    smaller = "pixels: longer shorter sides are downsized to it"
    rows = [(key, values[key], comment) for key, comment in COMMENTS.items() if key in values]
    rows += [
        ("max_size", max_size(layout, models), smaller),
        ("encode", "jpeg", "jpeg | png for changed images; original: every byte stays"),
        ("quality", 95, ""),
    ]
    return ["prepare:", *keys(2, *rows)]


def _folds(data: Data, on: str) -> list[str]:
    count = fold_count(data, on)
    return [
        "folds:",
        *keys(
            2,
            ("count", count, ""),
            ("run", [*range(count)], "the folds to train; `- 0` alone for a quick look"),
            ("duplicates", "group", "images with the same pixels stay in one fold; or ignore"),
            ("subsample", {}, "simulated imbalance: the share of a class's images to train on"),
        ),
    ]


def _models(
    layout: Layout, data: Data, models: list[Model], on: str, pretrained: bool | str
) -> list[str]:
    first, *others = models
    several = bool(others)
    lines = [
        "models:                 # each on each fold; one more model: its difference from another",
        f"  {first.name}:{' &base' * several}",
        *keys(
            4,
            ("architecture", first.architecture, "any of timm.list_models()"),
            ("pretrained", pretrained, "true: timm's weights from the hub; or a weights file"),
            ("image_size", first.image_size, "pixels a side"),
            ("resize_mode", "squash", "crop | squash | pad: how an image becomes square"),
        ),
        *_augment(data, on),
        "    phases:             # one after the other",
        *_phases(on),
        *keys(4, *_settings(layout, data, on)),
    ]
    for model in others:
        lines += [f"  {model.name}:", "    <<: *base"]
        lines += keys(
            4, ("architecture", model.architecture, ""), ("image_size", model.image_size, "")
        )
    return lines


def _augment(data: Data, on: str) -> list[str]:
    title = "    augment:            # albumentations transforms, for training only"
    affine = (
        "Affine: {rotate: [-10, 10], scale: [0.9, 1.1], translate_percent: [-0.08, 0.08], p: 0.9}"
    )
    if data.tiny and data.grey:  # digits and letters: a mirrored one is another, or none
        return [title, f"      - {affine}"]
    if on == "cuda" and not data.tiny:
        return keys(4, ("augment", "medium", "none | light | medium | heavy, or transforms"))
    smallest = 0.7 if data.tiny else 0.5
    crop = f"RandomResizedCrop: {{scale: [{smallest}, 1.0]}}"
    return [title, f"      - {crop}", "      - HorizontalFlip: {}"]


def _phases(on: str) -> list[str]:
    head, rest = (2, 10) if on == "cuda" else (4, 4)
    return [
        f"      - {{epochs: {head}, trainable: head, lr: 3e-3}}",
        f"      - {{epochs: {rest}, trainable: all, lr: 5e-4, "
        "backbone_lr: 1e-4, warmup_epochs: 1}",
    ]


def _settings(layout: Layout, data: Data, on: str) -> Iterator[tuple[str, Any, str]]:
    yield "batch_size", batch_size(data, on), "`make batch-size MODEL=…` measures the largest"
    yield "weight_decay", 0.05, ""
    if layout.task == "multiclass":
        yield "label_smoothing", 0.1, ""
    yield "dropout", 0.2, "before the head"
    if is_uneven(layout, data):
        yield "class_weights", "balanced", "in the loss: the classes are of very different sizes"
    yield "patience", None, "stop after so many epochs without a better score"
    yield "precision", "auto", "auto | fp32 | fp16 | bf16"


def _predict(data: Data) -> list[str]:
    views = ["identity"] if data.tiny and data.grey else ["identity", "hflip"]
    comment = "test-time augmentation: hflip, vflip, rot90, crop_center, …"
    return ["predict:", *keys(2, ("views", views, comment), ("batch_size", 64, ""))]


def _ensemble(models: list[Model]) -> list[str]:
    return [
        "ensemble:",
        *keys(
            2,
            ("members", [model.name for model in models], ""),
            ("method", "mean", "mean | weighted (by out-of-fold log loss)"),
        ),
    ]


def _submission(layout: Layout) -> list[str]:
    comments = {
        "format": "auto: as the sample submission; docs/params.md has the others",
        "separator": "of several labels in one column",
    }
    rows = [(key, value, comments[key]) for key, value in layout.submission.items()]
    return ["submission:", *keys(2, *rows)]
