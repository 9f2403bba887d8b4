"""The report in Markdown: what scored how, what is mistaken for what, where the submission is."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from podium.scoring.task import Task
from podium.submission import text_tables

WIDEST_MATRIX = 12  # classes; beyond, the commonest mistakes are listed
MOST_MISTAKES = 10
PARTS = 5  # of the range of numbers
NO_LABEL = "(none)"


def render(
    scores: dict[str, Any],
    *,
    submission: Path,
    rows: int,
    seconds: dict[str, float],
    held_back: dict[str, float] | None,
    oof: pd.DataFrame,
    task: Task,
) -> str:
    """A table of the models' and the ensemble's scores, the submission, and the mistakes.

    `scores` is metrics/ensemble.json; `seconds` each model's training time over all folds;
    `held_back` the scores of models and ensemble on the test labels, where known; `oof` has the
    columns id, actual and predicted, as our tables have labels.
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
    lines = [f"# {submission.stem}", "", f"Metric: {metric}.", "", text_tables.markdown(table), ""]
    lines.append(f"- Submission: `{submission}`, {rows} rows")
    if held_back is not None:
        lines.append(f"- Score on the held-back test labels: **{held_back['ensemble']:.4f}**")
    for title, rows_of in _parts(oof, task):
        lines += ["", f"## {title}, out of fold", "", text_tables.markdown(rows_of)]
    return "\n".join(lines) + "\n"


def confusable(oof: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The table of actual and predicted labels, for a confusion matrix: of several labels a row
    for each, against itself or none; of numbers the range that they lie in, of `PARTS` with as many
    actual ones each.
    """
    if task.name == "multilabel":
        return _one_by_one(oof, task)
    if task.name != "regression":
        return oof
    known, found = (oof[part].astype(float) for part in ("actual", "predicted"))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, PARTS + 1)[1:-1]))
    names = [f"{place}: from {edge:g}" for place, edge in enumerate(edges, start=1)]
    names.insert(0, f"0: below {edges[0]:g}")
    places = (np.searchsorted(edges, part, side="right") for part in (known, found))
    actual, predicted = ([names[place] for place in part] for part in places)
    return oof.assign(actual=actual, predicted=predicted)


def _one_by_one(oof: pd.DataFrame, task: Task) -> pd.DataFrame:
    """A row for each label that an image has or is said to have."""
    known, found = (task.targets(oof[part].tolist()) > 0 for part in ("actual", "predicted"))
    images, labels = np.nonzero(known | found)
    names = np.array(task.classes)[labels]
    return pd.DataFrame(
        {
            "id": oof["id"].to_numpy()[images],
            "actual": np.where(known[images, labels], names, NO_LABEL),
            "predicted": np.where(found[images, labels], names, NO_LABEL),
        }
    )


def _parts(oof: pd.DataFrame, task: Task) -> list[tuple[str, list[list[str]]]]:
    """What is told of the out-of-fold predictions: titles and tables."""
    if task.name == "regression":
        return [("Errors", _errors(oof)), ("Largest errors", _largest_errors(oof))]
    if task.name == "multilabel":
        known, found = (task.targets(oof[part].tolist()) for part in ("actual", "predicted"))
        return [("Classes", _classes(known, found, task.classes))]
    classes = task.classes
    known, found = (pd.Categorical(oof[part], classes).codes for part in ("actual", "predicted"))
    return [("Classes", _classes(known, found, classes)), ("Mistakes", _mistakes(oof, classes))]


def _cells(scores: dict[str, Any]) -> list[str]:
    spread = "" if scores["std"] is None else f" ± {scores['std']:.4f}"
    each = [f"{value:.4f}" for value in scores["folds"].values()]
    return [*each, f"{scores['mean']:.4f}{spread}", f"{scores['oof']:.4f}"]


def _test(held_back: dict[str, float] | None, name: str) -> list[str]:
    return [] if held_back is None else [f"{held_back[name]:.4f}"]


def _classes(known: np.ndarray, found: np.ndarray, classes: list[str]) -> list[list[str]]:
    """scikit-learn's classification report as the rows of a table, of targets as `Task` has
    them.
    """
    each = sk.precision_recall_fscore_support(
        known, found, labels=range(len(classes)), zero_division=0.0
    )
    macro = sk.precision_recall_fscore_support(  # of the classes that occur or are predicted
        known, found, zero_division=0.0, average="macro"
    )
    rows = [
        [name, str(support), f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}"]
        for name, precision, recall, f1, support in zip(classes, *each, strict=True)
    ]
    mean = ["**mean**", str(len(known)), *(f"{value:.4f}" for value in macro[:3])]
    return [["class", "images", "precision", "recall", "F1"], *rows, mean]


def _errors(oof: pd.DataFrame) -> list[list[str]]:
    """The errors of numbers, over the range of the actual ones."""
    known, found = (oof[part].astype(float) for part in ("actual", "predicted"))
    parts = pd.qcut(known.rank(method="first"), min(PARTS, len(oof)), labels=False)
    rows = [("all", known, found)]
    for _, part in known.groupby(parts):
        rows.append((f"{part.min():g} to {part.max():g}", part, found[part.index]))
    return [
        ["actual", "images", "mean", "mean predicted", "MAE", "RMSE"],
        *(
            [
                name,
                str(len(part)),
                f"{part.mean():.4g}",
                f"{made.mean():.4g}",
                f"{sk.mean_absolute_error(part, made):.4g}",
                f"{sk.root_mean_squared_error(part, made):.4g}",
            ]
            for name, part, made in rows
        ),
    ]


def _largest_errors(oof: pd.DataFrame) -> list[list[str]]:
    wrong = (oof["actual"].astype(float) - oof["predicted"].astype(float)).abs()
    rows = oof.loc[wrong.sort_values(ascending=False, kind="stable").index[:MOST_MISTAKES]]
    known, found = rows["actual"].astype(float), rows["predicted"].astype(float)
    body = [
        [image, f"{number:g}", f"{made:.4g}"]
        for image, number, made in zip(rows["id"], known, found, strict=True)
    ]
    return [["id", "actual", "predicted"], *body]


def _mistakes(oof: pd.DataFrame, classes: list[str]) -> list[list[str]]:
    """The confusion matrix, or for many classes the commonest mistakes."""
    if len(classes) <= WIDEST_MATRIX:
        matrix = sk.confusion_matrix(oof["actual"], oof["predicted"], labels=classes)
        body = [[name, *map(str, row)] for name, row in zip(classes, matrix, strict=True)]
        return [["actual \\ predicted", *classes], *body]
    wrong = oof[oof["actual"] != oof["predicted"]]
    pairs = Counter(zip(wrong["actual"], wrong["predicted"], strict=True))
    commonest = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MOST_MISTAKES]
    body = [[*pair, str(count)] for pair, count in commonest]
    return [["actual", "predicted", "images"], *body]
