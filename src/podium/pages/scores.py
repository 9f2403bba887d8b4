"""Sections on scores: of members, folds and the ensemble, over epochs, and on the leaderboard."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from podium.core.console import deviation, score
from podium.core.errors import UserError
from podium.kaggle.comparison import Comparison
from podium.pages import charts
from podium.pages.document import Chart, Section, Table
from podium.pages.outcome import Outcome, of_members
from podium.scoring import decisions
from podium.submission import target_tables
from podium.submission.report import NOTE, Correlations

RESAMPLES, MIN_RESAMPLES = 400, 100
MAX_CELLS = 40_000_000  # predictions to score in all samples: seconds, of AUC a quarter of a minute
LEVEL = 0.95
ONE_EPOCH = "One epoch. Hollow dots: training; filled: the held-out fold."


Interval = tuple[float, float] | None


def intervals(outcome: Outcome) -> dict[str, Interval]:
    """The interval of each member's score, and of the "ensemble"'s.

    Raises:
        UserError: if a member's predictions are missing or damaged.
    """
    alone = {**of_members(outcome), "ensemble": outcome}
    return {name: interval(one, MAX_CELLS // len(alone)) for name, one in alone.items()}


def interval(outcome: Outcome, max_cells: int = MAX_CELLS) -> Interval:
    """The bootstrap interval of the out-of-fold score over the images; Wilson's for an accuracy of
    0 or 1. None if the metric is undefined on some samples or equal on all, or needs more than
    `max_cells` predictions.
    """

    def of_sample(rows: np.ndarray) -> float:
        targets = outcome.targets[rows]
        if outcome.task.parts:
            predicted = outcome.probabilities[rows], outcome.predicted_targets[rows]
            return decisions.score_predictions(outcome.task, outcome.metric, targets, *predicted)
        if outcome.metric.inputs == "labels":
            predicted = outcome.predicted_targets[rows]
            return decisions.score_labels(outcome.task, outcome.metric, targets, predicted)
        predicted = outcome.probabilities[rows]
        return decisions.score_probabilities(outcome.task, outcome.metric, targets, predicted)

    count, cells = len(outcome.ids), outcome.probabilities.size
    by_labels = outcome.metric.inputs == "labels"
    if count < 2 or (by_labels and outcome.task.name == "regression"):
        return None  # of regression, the rounded labels are not stored
    if by_labels and outcome.task.name != "multilabel":
        cells = count
    resamples = min(RESAMPLES, max_cells // max(1, cells))
    if resamples < MIN_RESAMPLES:
        return None
    try:
        found = stats.bootstrap(
            (np.arange(count),),
            of_sample,
            vectorized=False,
            n_resamples=resamples,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(0),
        )
    except UserError:
        return None
    low, high = found.confidence_interval
    if low < high:
        return float(low), float(high)
    if outcome.metric.name != "accuracy" or outcome.task.parts:
        return None
    right = count - int(outcome.wrong.sum())
    limits = stats.binomtest(right, count).proportion_ci(LEVEL, method="wilson")
    return float(limits.low), float(limits.high)


def members(
    outcome: Outcome, between: Mapping[str, Interval], correlations: Correlations
) -> Section:
    """The scores of each member's folds, `between` which values they probably are, what each
    contributes, and how errors correlate.
    """
    scores, name = outcome.scores, outcome.metric.name
    rows = _rows(scores)
    with charts.style():
        figure = charts.figure(7.5, 0.9 + 0.36 * len(rows))
        axes = figure.subplots()
        for place, (row_name, row) in enumerate(rows.items()):
            values = list(row["folds"].values())
            if (limits := between[row_name]) is not None:
                axes.plot([*limits], [place, place], color=charts.COLORS[1], lw=2, alpha=0.5)
            axes.scatter(values, [place] * len(values), s=24, color=charts.COLORS[0], alpha=0.7)
            axes.scatter(row["oof"], place, s=130, marker="|", color=charts.COLORS[1], lw=2.5)
        axes.set_yticks(range(len(rows)), [charts.short(row) for row in rows])
        axes.set(xlabel=name, ylim=(len(rows) - 0.5, -0.5))
        charts.end_at_one(axes.xaxis)
        chart = charts.svg(figure, f"Out-of-fold {name} of each model and of its folds")
    better = "higher" if outcome.metric.greater_is_better else "lower"
    parts: list[Chart | Table] = [
        Chart(
            chart,
            f"Dots: folds. Mark: all folds, with 95% interval; {better} is better.",
        ),
        Table(_table(outcome, between)),
    ]
    if 1 < len(correlations) <= 12:
        parts.append(_correlations(correlations))
    text = " ".join(NOTE.format(noun=outcome.noun).split())
    if len(scores["members"]) > 1:
        text += " The weights in the table are those of the submission, fitted to all folds."
    return Section("Scores", list(parts), text)


def targets(outcome: Outcome) -> Section:
    """The score of each of several targets, by member."""
    return Section("Targets", [Table(target_tables.scores(outcome.scores), "Out of fold.")])


def _rows(scores: dict[str, Any]) -> dict[str, Any]:
    """The scores of the members and the ensemble, without an ensemble that equals its member."""
    members, ensemble = scores["members"], scores["ensemble"]
    if [row["oof"] for row in members.values()] == [ensemble["oof"]]:
        return dict(members)
    return {**members, "ensemble": ensemble}


def _table(outcome: Outcome, between: Mapping[str, Interval]) -> list[list[str]]:
    several = len(outcome.scores["members"]) > 1
    extra = ["weight", "ensemble without it"] if several else []
    rows = [["model", "mean ± std of folds", "out of fold", "95% interval", *extra]]
    for name, row in _rows(outcome.scores).items():
        std = "" if row["std"] is None else f" ± {deviation(row['std'], mean=row['mean'])}"
        values = [row.get(key) for key in ("weight", "ensemble_without")]
        more = ["" if value is None else score(value) for value in values]
        limits = "" if (own := between[name]) is None else f"{score(own[0])} to {score(own[1])}"
        mean = f"{score(row['mean'])}{std}"
        rows.append([name, mean, score(row["oof"]), limits, *more[: len(extra)]])
    return rows


def _correlations(correlations: Correlations) -> Chart:
    names = list(correlations)
    values = np.array(
        [[np.nan if v is None else v for v in row.values()] for row in correlations.values()]
    )
    texts = np.array([["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in values])
    with charts.style():
        figure = charts.figure(1.8 + 0.62 * len(names), 1.5 + 0.5 * len(names))
        shades = np.nan_to_num(values).clip(0, 1)
        charts.matrix(figure.subplots(), names, shades=shades, texts=texts)
        svg = charts.svg(figure, "Correlation of the models' out-of-fold errors")
    return Chart(
        svg,
        "Correlation of the models' out-of-fold errors. A model helps if it is good alone or errs "
        "elsewhere than the others.",
    )


class Curves(NamedTuple):
    """A training run: its table of epochs, and the epoch that was kept."""

    epochs: pd.DataFrame
    kept: int


def learning_curves(curves: dict[str, dict[str, Curves]], metric: str) -> Section:
    """The losses and scores of all epochs, by model and fold, with the folds overlaid."""
    parts = []
    for model, folds in curves.items():
        with charts.style():
            figure, (losses, scores) = charts.panels(2, columns=2, height=2.8)
            for number, (fold, (table, kept)) in enumerate(folds.items()):
                color = charts.COLORS[number % len(charts.COLORS)]
                losses.plot(table["epoch"], table["train_loss"], "--", color=color, alpha=0.6)
                losses.plot(table["epoch"], table["valid_loss"], color=color, label=fold)
                scores.plot(table["epoch"], table["score"], color=color, label=fold)
                best = table[table["epoch"] == kept]
                scores.scatter(best["epoch"], best["score"], color=color, s=28, zorder=3)
            losses.set(xlabel="epoch", ylabel="loss")
            scores.set(xlabel="epoch", ylabel=metric)
            for axes in (losses, scores):
                charts.only_integers(axes.xaxis)
            charts.end_at_one(scores.yaxis)
            scores.legend(fontsize="small")
            svg = charts.svg(figure, f"Learning curves of {model}")
        one = max(len(table) for table, _ in folds.values()) == 1
        caption = "Dashed: training; solid: the held-out fold; dot: kept epoch."
        parts.append(Chart(svg, f"{model}. {ONE_EPOCH if one else caption}"))
    return Section("Learning curves", list(parts))


def leaderboard(comparisons: Sequence[Comparison]) -> Section:
    """Out-of-fold against public scores, for each competition and metric."""
    parts = []
    for comparison in comparisons:
        oof, public = comparison.oof, comparison.public
        with charts.style():
            figure = charts.figure(5, 3.6)
            axes = figure.subplots()
            axes.scatter(oof, public)
            for number, x, y in zip(comparison.numbers, oof, public, strict=True):
                axes.annotate(str(number), (x, y), xytext=(5, 5), textcoords="offset points")
            axes.margins(0.15)
            axes.set(xlabel="out of fold", ylabel="public score")
            parts.append(
                Chart(
                    charts.svg(figure, "Out-of-fold against public scores"), comparison.describe()
                )
            )
    return Section("Leaderboard", list(parts))
