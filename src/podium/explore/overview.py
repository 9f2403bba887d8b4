"""Sections of the page that describe the data: classes, folds, images, and the method."""

from collections import Counter

import numpy as np
import pandas as pd
from markupsafe import Markup

from podium.config.embeddings import Embedding
from podium.core.console import number
from podium.explore.data import Data
from podium.explore.faults import neighbors_of
from podium.explore.label_errors import MAX_SHARE
from podium.pages import charts, pictures
from podium.pages.document import Card, Cards, Chart, Section, Table, counted
from podium.scoring.task import LABEL_SEPARATOR

MAX_CLASSES, SAMPLES, COLUMNS, SIDE = 40, 9, 3, 68  # classes; images per class; columns; pixels
MAX_BARS, MAX_ROWS, MAX_GROUPS = 60, 25, 8


def classes(data: Data) -> Section:
    """Images per class with samples, or the distribution of regression targets."""
    if data.task.name == "regression":
        return _numbers(data)
    rows = _rows_of_labels(data)
    names = sorted(rows, key=lambda name: -len(rows[name]))
    cards = [
        Card(name, [_grid(data, _spread(rows[name]), name)], [_images(rows[name])])
        for name in names[:MAX_CLASSES]
        if rows[name]
    ]
    parts = [Chart(_bars({name: len(rows[name]) for name in names[:MAX_BARS]}))]
    text = f"{len(names)} classes of {_images(rows[names[0]])} each."
    if len(rows[names[0]]) > len(rows[names[-1]]):
        text = f"{len(names)} classes. The largest has {_images(rows[names[0]])}, the smallest "
        text += f"{_images(rows[names[-1]])}."
    if data.targets:
        text = f"{len(names)} classes of {len(data.targets)} targets: {', '.join(data.targets)}."
    elif data.task.name == "multilabel":
        sizes = Counter(len(_labels(label)) for label in data.labels)
        per_image = ", ".join(f"{sizes[size]} with {size}" for size in sorted(sizes))
        text = f"{len(names)} labels; images by their number of labels: {per_image}."
    caption = ""
    if len(names) > MAX_CLASSES:
        caption = f"The {MAX_CLASSES} most frequent of {len(names)}."
    return Section("Classes", [*parts, Cards(cards, caption)], text)


def splits(data: Data) -> Section:
    """Labels across folds and groups."""
    parts: list[Chart | Table | Cards] = []
    folds = np.unique(data.folds)
    if data.task.name == "regression":
        targets = data.task.targets(data.labels)
        with charts.style():
            figure, axes = charts.panels(len(data.task.classes))
            for index, axis in enumerate(axes):
                values = [targets[data.folds == fold, index] for fold in folds]
                axis.boxplot(values, tick_labels=[str(fold) for fold in folds])
                axis.set_title(charts.short(data.task.classes[index]))
                axis.set_xlabel("fold")
            parts.append(Chart(charts.svg(figure, "Numbers per fold")))
    else:
        by_fold = {f"fold {fold}": data.folds == fold for fold in folds}
        parts.append(_crosstab(data, by_fold, "Images per class and fold"))
    if data.groups is None:
        return Section("Folds", parts)
    sizes = pd.Series(data.groups).value_counts()
    text = f"{counted(len(sizes), 'group')} of {sizes.min()} to {sizes.max()} images, "
    text += f"{np.median(sizes):g} in the median; each group is in one fold."
    if data.task.name != "regression":
        varied = (pd.Series(data.labels).groupby(data.groups).nunique() > 1).sum()
        text += f" Groups with images of different labels: {varied:,}."
        groups = np.array(data.groups, object)
        largest = {name: groups == name for name in sizes.index[:MAX_GROUPS]}
        caption = "Images per class and group"
        if len(sizes) > MAX_GROUPS:
            caption += f", of the {MAX_GROUPS} largest groups"
        parts.append(_crosstab(data, largest, caption))
    return Section("Folds", parts, text)


def _crosstab(data: Data, columns: dict[str, np.ndarray], caption: str) -> Table:
    """The number of images per class in each of `columns`: name -> boolean [M]."""
    rows = _rows_of_labels(data)
    names = sorted(rows, key=lambda name: -len(rows[name]))
    table = [["class", *columns]]
    for name in names[:MAX_ROWS]:
        table.append([name, *(f"{mask[rows[name]].sum():,}" for mask in columns.values())])
    if len(names) > MAX_ROWS:
        caption += f"; the {MAX_ROWS} most frequent classes"
    return Table(table, caption)


def images(data: Data) -> Section:
    """Sizes, aspect ratios, brightness and channels."""
    facts, stats = data.facts(), data.described.stats
    width, height, ratio = facts["width"], facts["height"], facts["aspect ratio"]
    brightness, is_test = stats.statistic("brightness"), data.is_test
    with charts.style():
        figure, axes = charts.panels(3)
        panels = {
            "megapixels": width * height / 1e6,
            "aspect ratio (width / height)": ratio,
            "mean brightness (0 to 255)": brightness,
        }
        for axis, (title, values) in zip(axes, panels.items(), strict=True):
            arrays, names = [values[~is_test]], ["training"]
            if is_test.any():
                arrays, names = [*arrays, values[is_test]], [*names, "test"]
            charts.histogram(axis, arrays, names, noun="image")
            axis.set_title(title)
        chart = Chart(charts.svg(figure, "Histograms of size, aspect ratio and brightness"))
    sizes = Counter(zip(width.astype(int).tolist(), height.astype(int).tolist(), strict=True))
    common = [["width x height", "images"]]
    common += [[f"{w} x {h}", f"{count:,}"] for (w, h), count in sizes.most_common(8)]
    kinds = [["gray", "images"], ["three equal channels", f"{int(stats.gray.sum()):,}"]]
    if data.files is not None:
        formats = Counter(zip(data.files["format"], data.files["mode"], strict=True))
        kinds = [["format and channels", "images"]]
        kinds += [
            [f"{name or 'other'} {mode}".strip(), f"{count:,}"]
            for (name, mode), count in formats.most_common(8)
        ]
        kinds.append(["grayscale content (also if stored as RGB)", f"{int(stats.gray.sum()):,}"])
        kinds.append(["with EXIF data", f"{int((facts['EXIF tags'] > 0).sum()):,}"])
    text = f"{len(sizes):,} different sizes. "
    if len(sizes) == 1:
        ((w, h),) = sizes
        text = f"All images are {w} x {h}. "
    text += "Sizes are those of the files." if data.files is not None else "Sizes are as stored."
    return Section("Images", [chart, Table(common, "Most common sizes"), Table(kinds)], text)


def method(data: Data, backbone: Embedding | None) -> Section:
    """Which features were used, and how reliable they are."""
    if backbone is None:
        name = "gradient histograms and colors"
        text = (
            "No model or embedding is pretrained, so images are compared by gradients and colors. "
            "That finds near-duplicates and drift of brightness or color, but label errors only "
            "if classes differ in such simple features. Add an embedding or a model with "
            "pretrained weights to params.yaml for better results."
        )
    else:
        name = f"{backbone.architecture}, {backbone.image_size} px, frozen"
        text = (
            "Neighbors, label errors and drift depend on the features of this network, which was "
            "not trained on these images."
        )
    rows = [
        ["setting", "value"],
        ["features", name],
        ["features per image", str(data.described.features.shape[1])],
        ["neighbors", str(neighbors_of(data))],
        ["maximum share of listed label errors", f"{MAX_SHARE:.0%} of the images"],
    ]
    return Section("Method", [Table(rows)], text)


def _numbers(data: Data) -> Section:
    targets = data.task.targets(data.labels)
    first = np.sort(np.unique(data.units[: data.n_train], return_index=True)[1])  # of each id
    with charts.style():
        figure, axes = charts.panels(len(data.task.classes))
        for index, axis in enumerate(axes):
            charts.histogram(axis, [targets[first, index]], ["training"], noun=data.noun)
            axis.set_title(charts.short(data.task.classes[index]))
        parts: list[Chart | Table | Cards] = [Chart(charts.svg(figure, "Histograms of numbers"))]
    for index, name in enumerate(data.task.classes[:4]):
        order = first[np.argsort(targets[first, index], kind="stable")]
        rows = _spread([*map(int, order)], 8)
        cards = [Card(number(targets[row, index]), [_picture(data, row)], []) for row in rows]
        parts.append(Cards(cards, f"From the lowest to the highest {name}"))
    return Section("Numbers", parts)


def _rows_of_labels(data: Data) -> dict[str, list[int]]:
    """The training rows of each class."""
    rows: dict[str, list[int]] = {name: [] for name in data.task.classes}
    for row, label in enumerate(data.labels):
        for name in _labels(label) if data.task.name == "multilabel" else [label]:
            rows[name].append(row)
    return rows


def _labels(label: str) -> list[str]:
    return [name for name in label.split(LABEL_SEPARATOR) if name]


def _spread(rows: list[int], most: int = SAMPLES) -> list[int]:
    """At most so many of the rows, evenly spread, each once."""
    places = np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)
    return [rows[place] for place in places]


def _images(rows: list[int]) -> str:
    return counted(len(rows), "image")


def _grid(data: Data, rows: list[int], name: str) -> tuple[str, str]:
    shown = [data.decode(row) for row in rows]
    return pictures.grid(shown, COLUMNS, side=SIDE), f"{_images(rows)} of {name}"


def _picture(data: Data, row: int) -> tuple[str, str]:
    return pictures.thumbnail(data.decode(row)), data.ids[row]


def _bars(counts: dict[str, int]) -> Markup:
    with charts.style():
        figure = charts.figure(6.5, max(1.2, 0.26 * len(counts) + 0.6))
        axis = figure.subplots()
        names = [charts.short(name) for name in counts]
        axis.barh(range(len(names)), [*counts.values()])
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_xlabel("training images")
        charts.only_integers(axis.xaxis)
        axis.grid(visible=False, axis="y")
        return charts.svg(figure, "Training images per class")
