"""Sections on classes: what is confused, how well each is found, and how sure the model is."""

from collections.abc import Sequence

import numpy as np
from matplotlib.text import Annotation
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from podium.pages import charts
from podium.pages.document import Chart, Section, Table
from podium.pages.outcome import Outcome, counts

MAX_MATRIX = 25  # classes
MAX_ROWS = 60  # of the table of classes: the worst
BINS = 10
NO_SCORE = "\N{EN DASH}"
MAX_NAMED = 12  # classes in a chart: those with the lowest F1


def confusion(outcome: Outcome) -> Section:
    """The confusion matrix; with many classes, the mistakes section shows pairs instead."""
    names = outcome.classes
    if not outcome.task.single_label or len(names) > MAX_MATRIX:
        return Section("Confusion matrix")
    found = sk.confusion_matrix(outcome.actual, outcome.predicted, labels=names)
    shades = found / np.maximum(1, found.sum(axis=1, keepdims=True))
    with charts.style():
        side = 1.6 + charts.CELL * len(names)
        figure = charts.figure(side + 0.8, side)
        axes = figure.subplots()
        charts.matrix(axes, names, shades=shades, texts=np.where(found, found.astype(str), ""))
        axes.set(xlabel="predicted", ylabel="actual")
        svg = charts.svg(figure, "Confusion matrix of the out-of-fold predictions")
    caption = f"Out of fold, in {outcome.noun}s; darker: a larger share of the row's class."
    return Section("Confusion matrix", [Chart(svg, caption)])


def per_class(outcome: Outcome) -> Section:
    """Precision, recall and F1 per class, against its number of images (or ids)."""
    names = outcome.classes
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        outcome.targets, outcome.predicted_targets, labels=range(len(names)), zero_division=0.0
    )
    parts: list[Chart | Table] = []
    if len(names) > 2:
        with charts.style():
            figure = charts.figure(7, 3.4)
            axes = figure.subplots()
            known = np.flatnonzero(support)  # without an image, F1 is undefined
            axes.scatter(support[known], f1[known])
            texts = [
                axes.annotate(
                    charts.short(names[index]),
                    (support[index], f1[index]),
                    xytext=(4, 4),
                    textcoords="offset points",
                    fontsize="small",
                )
                for index in known[np.argsort(f1[known], kind="stable")][:MAX_NAMED]
            ]
            axes.margins(0.12)
            charts.only_integers(axes.xaxis)
            axes.set(xlabel=f"{outcome.noun}s of the class", ylabel="F1, out of fold")
            figure.draw_without_rendering()  # places the texts
            _drop_overlapping(texts)
            svg = charts.svg(figure, f"F1 of each class against its number of {outcome.noun}s")
        parts.append(Chart(svg))
    order = np.argsort(np.where(support > 0, f1, 2), kind="stable")
    rows = [["class", f"{outcome.noun}s", "precision", "recall", "F1"]]
    for index in order[:MAX_ROWS]:
        scores = (precision[index], recall[index], f1[index])
        texts_of = [f"{value:.4f}" if support[index] else NO_SCORE for value in scores]
        rows.append([names[index], f"{support[index]:,}", *texts_of])
    what = f"The {MAX_ROWS} classes" if len(names) > MAX_ROWS else "Classes"
    parts.append(Table(rows, f"{what} out of fold, lowest F1 first"))
    return Section("Classes", list(parts))


def _drop_overlapping(texts: Sequence[Annotation]) -> None:
    """Remove the texts that overlap one before them."""
    kept = list[Annotation]()
    for text in texts:
        box = text.get_window_extent()
        if any(box.overlaps(other.get_window_extent()) for other in kept):
            text.remove()
        else:
            kept.append(text)


def calibration(outcome: Outcome) -> Section:
    """A reliability diagram: how often predictions of a confidence are right."""
    if outcome.task.name == "multilabel":
        confidence = outcome.probabilities.ravel()
        right = (outcome.targets > 0).ravel()
        what = "probability of a label"
    else:
        confidence = outcome.confidence
        right = outcome.probabilities.argmax(axis=1) == outcome.targets
        what = "probability of the most likely class"
    rates, means = calibration_curve(right, confidence, n_bins=BINS)
    error = expected_calibration_error(confidence, right)
    with charts.style():
        figure, (axes, below) = charts.panels(2, columns=2, height=3)
        axes.plot([0, 1], [0, 1], color=charts.GRID)
        axes.plot(means, rates, "o-")
        axes.set(
            xlabel=what,
            ylabel="share with the label" if outcome.task.name == "multilabel" else "accuracy",
            xlim=(0, 1),
            ylim=(0, 1.02),
        )
        charts.histogram(below, [confidence], [""], noun="prediction")
        below.set(xlabel=what)
        svg = charts.svg(figure, "Reliability diagram of the out-of-fold predictions")
    caption = (
        f"Out of fold; expected calibration error {error:.4f} ({BINS} bins). Points below the "
        "diagonal: the model is overconfident; ensemble.temperature: fitted may improve log loss."
    )
    return Section("Calibration", [Chart(svg, caption)])


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """The mean distance of confidence [N] and the share that is right, over bins of equal width,
    weighted by their numbers of predictions.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    gaps = np.bincount(bins, right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, sizes.sum()))


def distribution(outcome: Outcome) -> Section:
    """The share of each class among training labels, out-of-fold and test predictions."""
    names = outcome.classes
    parts = {
        "actual": outcome.actual,
        "predicted out of fold": outcome.predicted,
        f"predicted on test {outcome.noun}s": outcome.test_labels,
    }
    shares = {
        name: counts(labels, outcome.task) / max(1, len(labels))
        for name, labels in parts.items()
        if labels
    }
    few = np.argsort(-shares["actual"], kind="stable")[:40]
    with charts.style():
        width = max(5.0, 1.5 + 0.32 * len(few))
        figure = charts.figure(width, 3.4)
        axes = figure.subplots()
        for number, (name, values) in enumerate(shares.items()):
            places = np.arange(len(few)) + 0.27 * (number - 1)
            axes.bar(places, values[few], width=0.27, label=name)
        charts.name_columns(axes, [names[i] for i in few], room=(width - 1.5) / len(few))
        axes.set(ylabel=f"share of {outcome.noun}s")
        figure.legend(loc="outside upper left", ncols=3, fontsize="small")
        svg = charts.svg(figure, "Share of each class in training and test")
    more = f" The {len(few)} most frequent of {len(names)} classes." if len(names) > 40 else ""
    caption = f"A class that is predicted far more often on test {outcome.noun}s hints at drift."
    return Section("Predicted classes", [Chart(svg, caption + more)])


def thresholds(outcome: Outcome) -> Section:
    """Of multilabel: F1 over the threshold of each label, with the one in use."""
    chosen = outcome.rule.thresholds or [0.5] * len(outcome.classes)
    positives = (outcome.targets > 0).sum(axis=0)
    frequent = np.argsort(-positives, kind="stable")[:12]
    frequent = frequent[positives[frequent] > 0]  # others have no F1
    if not len(frequent):
        return Section("Thresholds")
    with charts.style():
        figure, axes = charts.panels(len(frequent), columns=4, height=2.2)
        for panel, index in zip(axes, frequent, strict=True):
            precision, recall, steps = sk.precision_recall_curve(
                outcome.targets[:, index] > 0, outcome.probabilities[:, index]
            )
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
            panel.plot(steps, f1[:-1])
            panel.axvline(chosen[index], color=charts.COLORS[1])
            panel.set(title=charts.short(outcome.classes[index]), xlim=(0, 1), ylim=(0, 1.02))
        svg = charts.svg(figure, "F1 over the threshold of each label")
    caption = "F1 out of fold over the thresholds of the most frequent labels; line: "
    caption += f"tuned on these {outcome.noun}s." if outcome.rule.thresholds else "0.5, not tuned."
    return Section("Thresholds", [Chart(svg, caption)])
