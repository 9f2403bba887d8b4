"""Compare the out-of-fold and public scores in the history of submissions."""

import contextlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from podium.config.tasks import TaskName
from podium.core import files
from podium.core.errors import UserError
from podium.scoring import metrics
from podium.submission import text_tables

MIN_SCORES = 3  # fewer have no meaningful correlation


class Comparison(NamedTuple):
    """The scored submissions of one competition and metric, in the order of the history."""

    competition: str
    metric: str
    greater_is_better: bool | None  # None if the metric no longer exists
    numbers: list[int]  # row numbers, from 1
    oof: np.ndarray  # [N]
    public: np.ndarray  # [N]

    def correlations(self) -> tuple[float, float] | None:
        """Pearson and Spearman correlation of the scores; None if undefined."""
        from scipy import stats

        if len(self.oof) < MIN_SCORES or np.ptp(self.oof) == 0 or np.ptp(self.public) == 0:
            return None
        pearson, spearman = (f(self.oof, self.public)[0] for f in (stats.pearsonr, stats.spearmanr))
        return float(pearson), float(spearman)

    @property
    def best(self) -> int | None:
        """The number of the row with the best public score; None for an unknown metric."""
        if self.greater_is_better is None:
            return None
        return self.numbers[int(np.argmax(self.public if self.greater_is_better else -self.public))]

    def describe(self) -> str:
        """Summarize the correlation in one line."""
        count, text = len(self.numbers), f"{self.competition}, {self.metric}: "
        if self.greater_is_better is None:
            text = f"{self.competition}, {self.metric} (which no longer exists): "
        if count < MIN_SCORES:
            return f"{text}{count} scored; at least {MIN_SCORES} are needed for a correlation"
        if (values := self.correlations()) is None:
            return f"{text}{count} scored; no correlation, since all OOF or public scores are equal"
        text += f"Pearson {values[0]:.3f}, Spearman {values[1]:.3f} ({count} submissions)"
        return text + (" (CV and LB are negatively correlated)" if values[1] < 0 else "")


def compare(table: pd.DataFrame) -> list[Comparison]:
    """Group the scored submissions by competition and metric."""
    scores = table.assign(number=range(1, len(table) + 1))
    for name in ("oof", "public"):
        scores[name] = scores[name].map(_number).astype(float)
    scores = scores[np.isfinite(scores["oof"]) & np.isfinite(scores["public"])]
    return [
        Comparison(
            competition,
            metric,
            _greater_is_better(metric),
            rows["number"].tolist(),
            rows["oof"].to_numpy(dtype=np.float64),
            rows["public"].to_numpy(dtype=np.float64),
        )
        for (competition, metric), rows in scores.groupby(["competition", "metric"], sort=False)
    ]


def _number(text: str) -> float:
    """A score, possibly with a decimal comma; NaN if it is not a number."""
    return float(pd.to_numeric(text.replace(",", "."), errors="coerce"))


def _greater_is_better(name: str) -> bool | None:
    name = metrics.RENAMED.get(name, name)
    metric = metrics.METRICS.get(metrics.family(name))  # None if it is user-defined
    tasks: tuple[TaskName, ...] = (metric.tasks[0] if metric else "multiclass", "multitarget")
    for task in tasks:  # the name of a metric of several targets is another
        with contextlib.suppress(UserError):
            return metrics.get(name, task).greater_is_better
    return None


def render(table: pd.DataFrame, comparisons: list[Comparison]) -> str:
    """Format the history and its correlations; the best public scores are marked with *."""
    best = {comparison.best for comparison in comparisons}
    rows = [("", "time", "file", "metric", "OOF", "public", "commit", "message")]
    for number, row in enumerate(table.to_dict("records"), start=1):
        oof = _number(row["oof"])
        rows.append(
            (
                str(number),
                row["time"][:16].replace("T", " "),
                Path(row["file"]).name,
                row["metric"],
                f"{oof:.5f}" if np.isfinite(oof) else row["oof"],
                (row["public"] or row["status"].lower()) + "*" * (number in best),
                row["commit"][:8] + "-dirty" * row["commit"].endswith("-dirty"),
                " ".join(row["message"].split()),
            )
        )
    lines = [comparison.describe() for comparison in comparisons]
    return "\n".join([text_tables.plain(rows), "", *lines])


def plot(comparisons: list[Comparison], path: Path) -> None:
    """Plot out-of-fold against public scores, one panel per competition and metric.

    Better is up and to the right; points have the numbers of `render`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(comparisons), 5), layout="constrained")
    panels = figure.subplots(1, len(comparisons), squeeze=False)
    for axes, comparison in zip(panels[0], comparisons, strict=True):
        axes.scatter(comparison.oof, comparison.public, zorder=2)
        for number, x, y in zip(comparison.numbers, comparison.oof, comparison.public, strict=True):
            axes.annotate(str(number), (x, y), xytext=(5, 5), textcoords="offset points")
        axes.margins(0.15)
        # Freeze the limits: the line of equal scores may be far from the points.
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
        axes.axline((comparison.oof[0], comparison.oof[0]), slope=1, color="0.8", zorder=1)
        if comparison.greater_is_better is False:
            axes.invert_xaxis()
            axes.invert_yaxis()
        axes.set(xlabel=f"{comparison.metric}, out of fold", ylabel="public score")
        axes.set_title(comparison.describe(), fontsize="small", wrap=True)
    with files.atomic(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
