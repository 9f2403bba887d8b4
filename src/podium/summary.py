"""The report in Markdown: what scored how, what is mistaken for what, where the submission is."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

WIDEST_MATRIX = 12  # classes; beyond, the commonest mistakes are listed
MOST_MISTAKES = 10


def render(
    scores: dict[str, Any],
    *,
    submission: Path,
    rows: int,
    seconds: dict[str, float],
    held_back: dict[str, float] | None,
    oof: pd.DataFrame,
    classes: list[str],
) -> str:
    """A table of the models' and the ensemble's scores, the submission, and the mistakes.

    `scores` is metrics/ensemble.json; `seconds` each model's training time over all folds;
    `held_back` the scores of models and ensemble on the test labels, where known; `oof` has the
    columns actual and predicted.
    """
    metric = scores["metric"]
    folds = list(scores["ensemble"]["folds"])
    header = ["model", "weight", *(f"fold {fold}" for fold in folds), "mean ± std", "out of fold"]
    table = [header + ["test"] * (held_back is not None) + ["seconds"]]
    for name, member in scores["members"].items():
        table.append([name, f"{member['weight']:.3f}", *_cells(member)])
        table[-1] += [*_test(held_back, name), f"{seconds[name]:.0f}"]
    total = f"{sum(seconds.values()):.0f}"
    table.append(["**ensemble**", "", *_cells(scores["ensemble"])])
    table[-1] += [*_test(held_back, "ensemble"), total]
    lines = [f"# {submission.stem}", "", f"Metric: {metric}.", "", *_markdown(table), ""]
    lines.append(f"- Submission: `{submission}`, {rows} rows")
    if held_back is not None:
        lines.append(f"- Score on the held-back test labels: **{held_back['ensemble']:.4f}**")
    lines += ["", "## Classes, out of fold", "", *_markdown(_classes(oof, classes)), ""]
    lines += ["## Mistakes, out of fold", "", *_markdown(_mistakes(oof, classes))]
    return "\n".join(lines) + "\n"


def _cells(scores: dict[str, Any]) -> list[str]:
    spread = "" if scores["std"] is None else f" ± {scores['std']:.4f}"
    each = [f"{value:.4f}" for value in scores["folds"].values()]
    return [*each, f"{scores['mean']:.4f}{spread}", f"{scores['oof']:.4f}"]


def _test(held_back: dict[str, float] | None, name: str) -> list[str]:
    return [] if held_back is None else [f"{held_back[name]:.4f}"]


def _classes(oof: pd.DataFrame, classes: list[str]) -> list[list[str]]:
    """scikit-learn's classification report as the rows of a table."""
    arguments = {"labels": classes, "zero_division": 0.0}
    each = precision_recall_fscore_support(oof["actual"], oof["predicted"], **arguments)
    macro = precision_recall_fscore_support(  # of the classes that occur or are predicted
        oof["actual"], oof["predicted"], zero_division=0.0, average="macro"
    )
    rows = [
        [name, str(support), f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}"]
        for name, precision, recall, f1, support in zip(classes, *each, strict=True)
    ]
    mean = ["**mean**", str(len(oof)), *(f"{value:.4f}" for value in macro[:3])]
    return [["class", "images", "precision", "recall", "F1"], *rows, mean]


def _mistakes(oof: pd.DataFrame, classes: list[str]) -> list[list[str]]:
    """The confusion matrix, or for many classes the commonest mistakes."""
    if len(classes) <= WIDEST_MATRIX:
        matrix = confusion_matrix(oof["actual"], oof["predicted"], labels=classes)
        body = [[name, *map(str, row)] for name, row in zip(classes, matrix, strict=True)]
        return [["actual \\ predicted", *classes], *body]
    wrong = oof[oof["actual"] != oof["predicted"]]
    pairs = Counter(zip(wrong["actual"], wrong["predicted"], strict=True))
    commonest = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MOST_MISTAKES]
    body = [[*pair, str(count)] for pair, count in commonest]
    return [["actual", "predicted", "images"], *body]


def _markdown(table: list[list[str]]) -> list[str]:
    """The rows of a Markdown table, with columns that line up in plain text too."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    rows = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [rows[0], rule, *rows[1:]]
