"""Write params.yaml for a competition: the shipped file with other values."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from podium.config.prepare import Prepare
from podium.config.probes import METADATA, Probe
from podium.dataset import target_labels
from podium.dataset.tables import Tables
from podium.init import defaults, yaml_edit
from podium.init.budget import Choice
from podium.init.defaults import Model
from podium.init.facts import Device, Facts, collect
from podium.init.layout import Layout
from podium.init.measured import Kind, Measured
from podium.init.weights import Weights

# The shipped params.yaml; a copy, since that file is the user's to edit.
TEMPLATE = Path(__file__).with_name("template.yaml")
MAX_HEADER_WIDTH = 96
COMMENTS = {  # for keys that the shipped file does not have
    "hidden_test": "whether the test images come only when Kaggle scores the notebook",
    "channels": "of the images and the networks' inputs; 3: RGB",
    "images": "pattern of an id's images; their predictions are combined",
    "stack": "what * stands for in the images that become an id's channels; null: separate images",
    "submission_id_column": "column of the test table with the submission's ids",
    "unit_column": "which training images belong together, as those of a submission id do",
    "features": "columns of both tables as further inputs: auto | none | list of columns",
    "label_pattern": "regular expression whose group captures the label in the file name",
    "group_pattern": "regular expression whose group captures what related images share",
    "label_map": "the label of each folder",
    "label_separator": "between labels in one cell",
    "no_label": "values of a column that stand for a missing label",
    "sample_id_column": "id column of the sample submission",
    "test_id_column": "id column of the test table",
    "label_variants": "labels that differ only in case or whitespace: error | merge | keep",
    "positive_class": "class whose probability is submitted; null: the second",
    "pixel_columns": "prefix of the numbered pixel columns, or the only pixel column",
    "pixel_order": "interleaved (RGB, RGB, …) | planar (all R, all G, all B)",
    "on_bad_image": "missing or broken images: error | skip | blank",
    "more_train_csv": "further tables of labeled images",
    "more_train_images": "further folders of labeled images",
    "unlabeled": "rows without a label: error | drop",
    "raters": "how to combine different labels of an image: error | majority | soft | mean | …",
    "copied_columns": "columns of the sample submission to copy to the submission",
    "id_label_separator": "separator of image id and label, if each label has a row",
    "lookup_csv": "table with the image and the label of each row of the submission",
    "lookup_columns": "its columns of images and of labels",
    "metadata": "a head for prepare.features; null: train on the images only",
    "class_weights": "in the loss: balanced | list of weights | null",
    "separator": "between labels in one cell",
}


def render(
    layout: Layout,
    tables: Tables,
    *,
    source: str,
    slug: str,
    device: Device,
    weights: Weights | None = None,
    measured: Measured | None = None,
    choice: Choice | None = None,
) -> str:
    """The text of params.yaml for a competition.

    Args:
        layout: what `make init` knows about it.
        tables: its tables, read with that layout.
        source: competition.source
        slug: competition.slug
        device: the device that the models will be trained on.
        weights: pretrained weights in a file; None: timm's.
        measured: which features suit the images, if that was measured.
        choice: what fits into a number of minutes, if there is a limit.
    """
    facts = collect(layout, tables)
    models = defaults.models_for(facts, device, weights, measured)
    architecture, count = models[0].architecture, defaults.fold_count(facts, device)
    features = defaults.features(facts, models[0], measured)
    if choice is not None:
        models, count, features = [*choice.models], choice.folds, choice.kinds
    params = yaml_edit.load(TEMPLATE.read_text(encoding="utf-8"))
    params.yaml_set_start_comment("\n".join(_header(layout, facts, tables, slug)) + "\n\n")
    params["task"], params["metric"] = layout.task, layout.metric
    members = [*(model.name for model in models), *(["probe"] if features else [])]
    changes: dict[str, dict[str, Any]] = {
        "competition": {"source": source, "slug": slug},
        "folds": {"count": count, "run": [*range(count)]},
        "predict": {"views": defaults.views(facts), "batch_size": 64},
        "ensemble": defaults.ensemble(members),
    }
    for name, values in changes.items():
        for key, value in values.items():
            yaml_edit.put(params[name], key, value)
    sizes = [*(model.image_size for model in models), *(kind.image_size for kind in features)]
    prepare = _prepare(layout, defaults.max_size(facts, sizes))
    yaml_edit.fill(params["prepare"], prepare, COMMENTS)
    yaml_edit.fill(params["submission"], layout.submission, COMMENTS)
    epochs = None if choice is None else choice.epochs
    settings = defaults.model_settings(layout, facts, device, measured, epochs)
    start = {"pretrained": True if weights is None else weights.path}
    _fill_models(params["models"], models, start, settings)
    if features:
        backbone = {"architecture": architecture, **start}
        fill_embeddings(params["embeddings"], features, backbone, defaults.views(facts))
        kind = defaults.probe_head(layout)
        head = {} if kind == Probe.model_fields["head"].default else {"head": kind}
        metadata = [METADATA] if layout.has_metadata else []
        names = yaml_edit.flow([*(kind.name for kind in features), *metadata])
        params["probes"]["probe"] = CommentedMap(features=names, **head)
    return yaml_edit.align(yaml_edit.dump(params))


def _header(layout: Layout, facts: Facts, tables: Tables, slug: str) -> Iterator[str]:
    classes = tables.classes
    kinds = f"{len(classes)} classes"
    if layout.task == "regression":
        kinds = f"target: {_printable(classes[0])}"
        if len(classes) > 1:
            kinds = f"{len(classes)} targets"
    if layout.task == "multitarget":
        kinds = f"{len(layout.prepare['label_column'])} targets"
    images = f"{facts.train_images:,} training images, {facts.test_images:,} test images"
    yield f"{slug}: {images}, {kinds}"
    if layout.task == "multitarget":
        yield _printable(target_labels.describe(tables.task(layout.task)))
    elif layout.task != "regression":
        yield _counts(facts, classes)
    yield "Written by `make init`. After an edit, run `dvc repro`: only the affected stages rerun."
    yield "docs/params.md explains every key."


def _counts(facts: Facts, classes: list[str]) -> str:
    """The classes with their numbers of images, as far as they fit in a line."""
    line = ""
    for position, name in enumerate(classes):
        item = f"{_printable(name)} {facts.counts[name]:,}" if facts.counts else _printable(name)
        if len(line) + len(item) > MAX_HEADER_WIDTH:
            return f"{line}… ({len(classes)} in total)"
        line += item + ", " * (position < len(classes) - 1)
    return line


def _printable(text: str) -> str:
    """A label that fits in a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _prepare(layout: Layout, max_size: int | None) -> dict[str, Any]:
    values = {
        "id_column": "id",
        "label_column": "label",
        "group_column": None,
        "duplicates": "group",
        **layout.prepare,
        "max_size": max_size,
        "encode": "jpeg",
        "quality": 95,
    }
    return {key: values[key] for key in Prepare.model_fields if values.get(key, {}) != {}}


def model_values(model: Model, start: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The section of a model that shares `settings` with others: values, or as YAML, and starts
    from the weights `start`.
    """
    return {
        "architecture": model.architecture,
        **start,
        "image_size": model.image_size,
        **{key: yaml_edit.parse(v) if isinstance(v, str) else v for key, v in settings.items()},
    }


def _fill_models(
    section: CommentedMap, models: list[Model], start: dict[str, Any], settings: dict[str, Any]
) -> None:
    """The first model with all settings; the others as their differences from it."""
    base = deepcopy(section["resnet"])  # without the model that merges it
    section.clear()
    if not models:
        section.fa.set_flow_style()
        return
    first, *others = models
    section[first.name] = base
    yaml_edit.fill(base, model_values(first, start, settings), COMMENTS)
    for model in others:
        section[model.name] = yaml_edit.merging(base)
        section[model.name].update(architecture=model.architecture, image_size=model.image_size)


def fill_embeddings(
    section: CommentedMap, features: Sequence[Kind], backbone: dict[str, Any], views: list[str]
) -> None:
    """The first embedding with all settings; the others as their differences from it."""
    first, *others = features
    base = CommentedMap()
    values = {**backbone, "image_size": first.image_size, "resize_mode": first.resize_mode}
    yaml_edit.fill(base, {**values, "views": yaml_edit.flow(views)}, {})
    section.clear()
    section.fa.set_block_style()
    section[first.name] = base
    if others:
        base.yaml_set_anchor("frozen")
    for kind in others:
        section[kind.name] = yaml_edit.merging(base)
        section[kind.name]["resize_mode"] = kind.resize_mode
        if kind.image_size != first.image_size:
            section[kind.name]["image_size"] = kind.image_size
