"""The report in Markdown: scores, classes and mistakes."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from podium.core.console import deviation, number, score
from podium.scoring.task import Task
from podium.submission import detail_tables as tables
from podium.submission import target_tables, text_tables
from podium.submission.text_tables import Markup, Rows, escape

MAX_MATRIX_CLASSES = 12  # with more, the most frequent mistakes are listed instead
MAX_MATRIX_MEMBERS = 12
Correlations = dict[str, dict[str, float | None]]  # by the names of two members
NO_LABEL = "(none)"
NOTE = """\
Out of fold: each {noun} is predicted by models that were not trained on its fold, and blended and
labeled by weights and thresholds that are fitted to the other folds. Each model keeps the epoch
that scores best on the held-out fold, which makes these scores slightly optimistic."""

CORRELATIONS = """\
Correlation of the models' errors; the columns are numbered as the rows. A model helps the ensemble
if it is good alone or errs elsewhere than the others."""


class OofTable(NamedTuple):
    """The ensemble's out-of-fold predictions."""

    table: pd.DataFrame  # id, actual, predicted
    task: Task
    noun: str = "image"  # what a row is; "id" if some have several images


def render(
    scores: dict[str, Any],
    *,
    submission: Path,
    rows: int,
    seconds: dict[str, float],
    test_scores: dict[str, float] | None,
    oof: OofTable,
    correlations: Correlations,
) -> str:
    """Return the report.

    `scores` is metrics/ensemble.json, `seconds` each model's training time, `test_scores` the
    scores of the models and the ensemble on known test labels. `correlations` are those of the
    members' errors.
    """
    task, noun = oof.task, oof.noun
    positive = f", positive class: {escape(task.classes[1])}" if task.name == "binary" else ""
    blocks = [
        f"# {submission.stem}",
        f"Metric: {escape(scores['metric'])}, task: {task.name}{positive}.",
        text_tables.markdown(_scores(scores, seconds, test_scores)),
        NOTE.format(noun=noun),
        f"- Submission: `{submission}`, {rows} rows",
    ]
    if trained_on_all := [name for name, m in scores["members"].items() if m["all_folds"]]:
        names = ", ".join(map(escape, trained_on_all))
        blocks[-1] += f"\n- Also trained on all folds, for the test images only: {names}"
    if (threshold := scores["ensemble"].get("new_class_threshold")) is not None:
        new = escape(task.classes[-1])
        blocks[-1] += f"\n- {new}: {noun}s whose best class has a probability below {threshold:.4f}"
    if test_scores is not None:
        blocks[-1] += f"\n- Score on the held-out test labels: **{score(test_scores['ensemble'])}**"
    if task.parts:
        table = target_tables.scores(scores)
        blocks += ["## Targets (out of fold)", text_tables.markdown(table)]
    if len(scores["members"]) > 1:
        blocks += ["## Members (out of fold)", text_tables.markdown(_members(scores))]
        if len(correlations) <= MAX_MATRIX_MEMBERS:
            blocks += [CORRELATIONS, text_tables.markdown(_correlations(correlations))]
    for title, table in _details(*oof).items():
        blocks += [f"## {title} (out of fold)", text_tables.markdown(table)]
    return "\n\n".join(blocks) + "\n"


def confusion_rows(oof: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows of a confusion matrix: id, actual and predicted class.

    An image with several labels has a row per label, which is confused with none. Numbers are
    replaced by one of `RANGES` ranges with equally many actual values.
    """
    if task.parts:
        return pd.concat([_of_target(oof, task, part.name) for part in task.parts])
    if task.name == "multilabel":
        actual, predicted = (task.targets(oof[c].tolist()) > 0 for c in ("actual", "predicted"))
        images, labels = np.nonzero(actual | predicted)
        names = np.array(task.classes)[labels]
        return pd.DataFrame(
            {
                "id": oof["id"].to_numpy()[images],
                "actual": np.where(actual[images, labels], names, NO_LABEL),
                "predicted": np.where(predicted[images, labels], names, NO_LABEL),
            }
        )
    if task.name != "regression":
        return oof
    if len(task.classes) > 1:
        return pd.concat([_of_target(oof, task, name) for name in task.classes])
    values = {column: oof[column].astype(float) for column in ("actual", "predicted")}
    shares = np.linspace(0, 1, tables.RANGES + 1)[1:-1]
    edges = np.unique(np.quantile(values["actual"], shares))
    names = np.array(
        [f"0: below {number(edges[0])}"]
        + [f"{i}: from {number(edge)}" for i, edge in enumerate(edges, 1)]
    )
    ranges = {c: names[np.searchsorted(edges, v, side="right")] for c, v in values.items()}
    return oof.assign(**ranges)


def _of_target(oof: pd.DataFrame, task: Task, name: str) -> pd.DataFrame:
    """The rows of `confusion_rows` of one of several numbers or targets: its name and the class or
    range.
    """
    own = target_tables.part(oof, task, name) if task.parts else None
    rows = confusion_rows(*(own or (_numbers(oof, task, name), Task("regression", [name]))))
    return rows.assign(**{c: f"{name} " + rows[c] for c in ("actual", "predicted")})


def _numbers(oof: pd.DataFrame, task: Task, name: str) -> pd.DataFrame:
    """The actual and predicted numbers of one target."""
    place = task.classes.index(name)
    pair = {c: task.targets(oof[c].tolist())[:, place] for c in ("actual", "predicted")}
    return oof.assign(**pair)


def _scores(
    scores: dict[str, Any], seconds: dict[str, float], test_scores: dict[str, float] | None
) -> Rows:
    """The scores of the models and the ensemble."""
    folds = [f"fold {fold}" for fold in scores["ensemble"]["folds"]]
    has_test = test_scores is not None
    header = ["model", "weight", *folds, "mean ± std", "out of fold", *["test"] * has_test]

    def row(key: str, name: str, weight: str, values: dict[str, Any], time: float) -> list[str]:
        std, mean = values["std"], values["mean"]
        spread = "" if std is None else f" ± {deviation(std, mean=mean)}"
        per_fold = [score(value) for value in values["folds"].values()]
        test = [] if test_scores is None else [score(test_scores[key])]
        mean, oof = f"{score(mean)}{spread}", score(values["oof"])
        return [name, weight, *per_fold, mean, oof, *test, f"{time:.0f}"]

    total = sum(seconds.values())
    return [
        [*header, "seconds"],
        *(
            row(name, name, f"{member['weight']:.3f}", member, seconds[name])
            for name, member in scores["members"].items()
        ),
        row("ensemble", Markup("**ensemble**"), "", scores["ensemble"], total),
    ]


def _members(scores: dict[str, Any]) -> Rows:
    """What each member contributes."""
    return [
        ["model", "weight", "alone", "ensemble without it"],
        *(
            [name, *(score(m[key]) for key in ("weight", "oof", "ensemble_without"))]
            for name, m in scores["members"].items()
        ),
        [Markup("**ensemble**"), "", score(scores["ensemble"]["oof"]), ""],
    ]


def _correlations(correlations: Correlations) -> Rows:
    """A matrix whose columns are numbered, since a dozen names are too wide."""
    return [
        ["", "errors of", *(str(number) for number in range(1, len(correlations) + 1))],
        *(
            [str(n), name, *("" if r is None else f"{r:.2f}" for r in row.values())]
            for n, (name, row) in enumerate(correlations.items(), 1)
        ),
    ]


def _details(oof: pd.DataFrame, task: Task, noun: str) -> dict[str, Rows]:
    """The tables about the out-of-fold predictions, by title."""
    if task.parts:
        return {
            f"{part.name}: {title}": rows
            for part in task.parts
            for title, rows in _details(*target_tables.part(oof, task, part.name), noun).items()
        }
    if task.name == "regression" and len(task.classes) > 1:
        return {f"Errors of {n}": tables.errors(_numbers(oof, task, n), noun) for n in task.classes}
    if task.name == "regression":
        values = oof.astype({"actual": float, "predicted": float})
        return {
            "Errors": tables.errors(values, noun),
            "Largest errors": tables.largest_errors(values),
        }
    actual, predicted = (task.targets(oof[c].tolist()) for c in ("actual", "predicted"))
    found = {"Classes": tables.classes(actual, predicted, task.classes, noun)}
    if task.single_label and len(task.classes) <= MAX_MATRIX_CLASSES:
        found["Confusion matrix"] = tables.confusion_matrix(oof, task.classes)
    elif task.single_label:
        found["Most frequent mistakes"] = tables.mistakes(oof, noun)
    return found
